<?php

/* What the recipes' texts show is what their files hold; links lead somewhere. */

declare(strict_types=1);

use PHPUnit\Framework\Assert;
use Sidecast\Recipes\Document;

$scenarios = [];
foreach (['notifications', 'dashboard', 'llm-stream', 'job-progress'] as $recipe) {
    $scenarios["$recipe: the code in the text is in the files"] = static function () use ($recipe): void {
        $files = '';
        foreach (glob(dirname(__DIR__, 3) . "/docs/recipes/$recipe/*") as $file) {
            $files .= file_get_contents($file);
        }
        $blocks = (new Document("docs/recipes/$recipe.md"))->blocks();
        Assert::assertNotEmpty($blocks);
        $plain = static fn (string $text) => preg_replace('/^\h+|\h*$|^\h*\R/m', '', $text);
        foreach ($blocks as $block) {
            Assert::assertStringContainsString($plain($block['text']), $plain($files));
        }
    };
}

/** @return list<string> the anchors of a document's headings, as they are shown on the web */
$anchors = static function (string $file): array {
    $text = preg_replace('/^```.*?^```/ms', '', file_get_contents($file));
    preg_match_all('/^#+ (.*)$/m', $text, $headings);
    return array_map(
        static fn (string $heading) => str_replace(' ', '-', preg_replace('/[^\w\- ]/u', '', mb_strtolower(str_replace('`', '', $heading)))),
        $headings[1]
    );
};

$scenarios['documents: links lead to files and headings that are there'] = static function () use ($anchors): void {
    $docs = dirname(__DIR__, 3) . '/docs';
    $broken = [];
    foreach ([...glob("$docs/*.md"), ...glob("$docs/recipes/*.md")] as $file) {
        $text = preg_replace('/^```.*?^```/ms', '', file_get_contents($file));
        preg_match_all('/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/', $text, $links, PREG_SET_ORDER);
        foreach ($links as $link) {
            $target = $link[1] === '' ? $file : dirname($file) . "/$link[1]";
            if (!file_exists($target) || (isset($link[2]) && !in_array($link[2], $anchors($target), true))) {
                $broken[] = basename($file) . ": $link[0]";
            }
        }
    }
    Assert::assertSame([], $broken);
};

return $scenarios;
