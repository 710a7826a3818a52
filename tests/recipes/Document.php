<?php

declare(strict_types=1);

namespace Sidecast\Recipes;

use PHPUnit\Framework\Assert;

/** A Markdown file of the project and its fenced blocks. */
final class Document
{
    public readonly string $text;

    /** @param string $path below the project's root */
    public function __construct(public readonly string $path)
    {
        $this->text = file_get_contents(dirname(__DIR__, 2) . "/$path");
    }

    /**
     * In order; `file` is the name in backquotes on the line before the block, if that is all there is on the line but a colon.
     *
     * @return list<array{language: string, file: ?string, text: string}>
     */
    public function blocks(): array
    {
        preg_match_all('/(?:^`([^`\n]+)`:\n\n)?^```(\S*)\n(.*?)^```$/ms', $this->text, $found, PREG_SET_ORDER);
        return array_map(
            static fn (array $match) => ['language' => $match[2], 'file' => $match[1] ?: null, 'text' => $match[3]],
            $found
        );
    }

    /** The one block of a language. */
    public function only(string $language): string
    {
        $blocks = array_filter($this->blocks(), static fn (array $block) => $block['language'] === $language);
        Assert::assertCount(1, $blocks, "$this->path has one block of $language");
        return reset($blocks)['text'];
    }
}
