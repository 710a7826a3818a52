<?php

// The code on the page is read from the files that run, so the two cannot differ.

declare(strict_types=1);

/** The lines of a file between its two "shown" marks as highlighted HTML. */
function excerpt(string $file): string
{
    $pattern = '~^(?<indent>\h*)// <shown>\R(?<lines>.*?)^\h*// </shown>~ms';
    if (!preg_match($pattern, (string) file_get_contents($file), $found)) {
        return '';
    }

    return highlight(rtrim((string) preg_replace("~^$found[indent]~m", '', $found['lines'])));
}

/** Comments, strings, variables and keywords of PHP and JavaScript in elements with a class; everything is escaped. */
function highlight(string $code): string
{
    $pattern = '~(?<c>//.*)|(?<s>\'[^\'\n]*\'|"[^"\n]*"|`[^`]*`)|(?<v>\$\w+)'
        . '|\b(?<k>async|as|await|const|foreach|function|new|return|true|while)\b~';

    return (string) preg_replace_callback($pattern, static function (array $found): string {
        $class = array_key_last(array_filter($found, 'is_string', ARRAY_FILTER_USE_KEY));

        return "<i class=\"$class\">$found[0]</i>";
    }, htmlspecialchars($code, ENT_NOQUOTES));
}
