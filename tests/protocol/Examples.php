<?php

declare(strict_types=1);

namespace Sidecast\Protocol;

/** One fenced block: ```kind name. */
final class Block
{
    public function __construct(
        public readonly string $kind,
        public readonly string $name,
        public readonly string $text,
        public readonly int $line,
    ) {
    }
}

/** The examples of a Markdown file: those under one heading belong together. */
final class Examples
{
    public const KINDS = ['config', 'publish', 'dropped', 'confirm', 'reply', 'request', 'sse', 'poll', 'answer', 'error', 'refused'];

    /** @return array<string, list<Block>> by heading */
    public static function read(string $file): array
    {
        $sections = [];
        $heading = '';
        $kind = null;
        foreach (explode("\n", (string) file_get_contents($file)) as $index => $line) {
            if ($kind !== null && $line !== '```') {
                $text .= "$line\n";
            } elseif ($kind !== null) {
                if (in_array($kind, self::KINDS, true)) {
                    $sections[$heading][] = new Block($kind, $name, $text, $start);
                }
                $kind = null;
            } elseif (preg_match('/^```(\w*) ?(\w*)$/', $line, $match) === 1) {
                [, $kind, $name] = $match;
                [$text, $start] = ['', $index + 1];
            } elseif (preg_match('/^#+ (.*)$/', $line, $match) === 1) {
                $heading = $match[1];
            }
        }

        return $sections;
    }
}

/**
 * Which of the daemon's ids stands for which id of the document. An id must keep its meaning throughout an example, and the
 * order of ids must be the document's: strictly, but for ids that stand just below another (<ms>-18446744073709551615).
 */
final class Ids
{
    private const PATTERN = '/\b\d+-\d+\b/';
    private const JUST_BELOW = '-18446744073709551615';

    /** @var array<string, string> the daemon's by the document's */
    private array $known = [];

    /** The document's text with the daemon's ids. */
    public function apply(string $text): string
    {
        return (string) preg_replace_callback(self::PATTERN, fn (array $id) => $this->known[$id[0]] ?? $id[0], $text);
    }

    /** Whether both texts are the same but for ids, with one consistent meaning for each; then it is remembered. */
    public function match(string $expected, string $actual): bool
    {
        if (preg_replace(self::PATTERN, '#', $expected) !== preg_replace(self::PATTERN, '#', $actual)) {
            return false;
        }
        preg_match_all(self::PATTERN, $expected, $ours);
        preg_match_all(self::PATTERN, $actual, $theirs);
        $known = $this->known;
        foreach ($ours[0] as $index => $id) {
            if (($known[$id] ??= $theirs[0][$index]) !== $theirs[0][$index]) {
                return false;
            }
        }
        if (!self::isInOrder($known)) {
            return false;
        }
        $this->known = $known;

        return true;
    }

    /** @param array<string, string> $known */
    private static function isInOrder(array $known): bool
    {
        uksort($known, self::compare(...));
        $before = null;
        foreach ($known as $ours => $theirs) {
            $least = $before === null || str_contains($ours . $before[0], self::JUST_BELOW) ? 0 : 1;
            if ($before !== null && self::compare($theirs, $before[1]) < $least) {
                return false;
            }
            $before = [$ours, $theirs];
        }

        return true;
    }

    private static function compare(string $a, string $b): int
    {
        [$aTime, $aSequence] = explode('-', $a);
        [$bTime, $bSequence] = explode('-', $b);

        // 64 bits without a sign do not fit into an int
        return [strlen($aTime), $aTime, strlen($aSequence), $aSequence] <=> [strlen($bTime), $bTime, strlen($bSequence), $bSequence];
    }
}
