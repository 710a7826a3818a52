<?php

/* What the recipes' texts show is what their files hold. */

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

return $scenarios;
