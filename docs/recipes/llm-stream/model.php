<?php

// Stands for the language model: yields a text in small pieces, slowly. Yours reads them from the answer of an HTTP API.

declare(strict_types=1);

/** @return iterable<string> */
function model(string $question): iterable
{
    if (str_contains($question, 'fail')) {
        throw new RuntimeException('the model is tired');
    }
    $text = "You have asked “{$question}” and this is the answer, one word after the other, as the model finds them.";
    foreach (preg_split('/(?= )/', $text) as $token) {
        usleep(40_000);
        yield $token;
    }
}
