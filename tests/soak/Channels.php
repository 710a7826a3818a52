<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** The channels there are, and who listens to which. */
final class Channels
{
    private const NEWS = 12;
    private const ORDERS = 8;
    private const SHORT = 3;
    private const BULK = 2;

    /** How many there are of each kind. */
    private const KINDS = ['news' => self::NEWS, 'orders' => self::ORDERS, 'short' => self::SHORT, 'bulk' => self::BULK];

    /** @return list<string> */
    public static function all(): array
    {
        $all = [];
        foreach (self::KINDS as $kind => $count) {
            array_push($all, ...self::of($kind, $count));
        }
        return $all;
    }

    /** One that history keeps all of. */
    public static function kept(): string
    {
        return mt_rand(0, 2) === 0 ? 'orders/' . mt_rand(1, self::ORDERS) : 'news/' . mt_rand(1, self::NEWS);
    }

    /** @return list<string> those of which history keeps little */
    public static function short(): array
    {
        return [...self::of('short', self::SHORT), ...self::of('bulk', self::BULK)];
    }

    /** @return list<string> what one client listens to: names and patterns */
    public static function choose(): array
    {
        $channels = ['news/' . mt_rand(1, self::NEWS) => true];
        for ($more = mt_rand(0, 3); $more > 0; $more--) {
            $channels[self::kept()] = true;
        }
        $dice = mt_rand(1, 10);
        if ($dice <= 2) {
            $channels['orders/*'] = true;
        } elseif ($dice <= 4) {
            $channels['short/' . mt_rand(1, self::SHORT)] = true;
        } elseif ($dice === 5) {
            $channels['bulk/' . mt_rand(1, self::BULK)] = true;
        } elseif ($dice === 6) {
            $channels['short/*'] = true;
        }
        return array_keys($channels);
    }

    /** @return list<string> */
    private static function of(string $kind, int $count): array
    {
        return array_map(static fn (int $number) => "$kind/$number", range(1, $count));
    }
}
