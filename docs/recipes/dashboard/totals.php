<?php

// Where the numbers are kept: a file here, a database in your site.

declare(strict_types=1);

const TOTALS_FILE = __DIR__ . '/totals.json';

/** @return array{orders: int, cents: int} */
function totals(): array
{
    $json = is_file(TOTALS_FILE) ? file_get_contents(TOTALS_FILE) : '';

    return json_decode($json, true) ?? ['orders' => 0, 'cents' => 0];
}

/** @return array{orders: int, cents: int} the new totals */
function count_order(int $cents): array
{
    $lock = fopen(TOTALS_FILE . '.lock', 'c');
    flock($lock, LOCK_EX);
    $totals = totals();
    $totals['orders']++;
    $totals['cents'] += $cents;
    file_put_contents(TOTALS_FILE . '.new', json_encode($totals));
    rename(TOTALS_FILE . '.new', TOTALS_FILE); // whoever reads meanwhile finds one or the other, never half
    fclose($lock);

    return $totals;
}
