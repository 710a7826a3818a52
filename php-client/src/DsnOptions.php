<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;

/**
 * The options of a DSN, read one by one: a default where one is not given, an exception where it is malformed.
 *
 * @internal
 */
final class DsnOptions
{
    /** @param array<string, string> $values */
    private function __construct(private readonly array $values)
    {
    }

    /**
     * @param string       $query what follows the `?`
     * @param list<string> $known names of all options
     *
     * @throws InvalidConfiguration
     */
    public static function parse(string $query, array $known): self
    {
        $values = [];
        foreach ($query === '' ? [] : \explode('&', $query) as $pair) {
            [$name, $value] = \explode('=', $pair, 2) + [1 => ''];
            if (!\in_array($name, $known, true)) {
                throw new InvalidConfiguration(\sprintf(
                    'unknown option "%s" in a DSN, known are %s',
                    \addcslashes($name, "\0..\37\177..\377"),
                    \implode(', ', $known),
                ));
            }
            if (isset($values[$name])) {
                throw new InvalidConfiguration("the option $name of a DSN is there twice");
            }
            $values[$name] = \rawurldecode($value);
        }

        return new self($values);
    }

    /**
     * Refuses options that say nothing with such an address.
     *
     * @param list<string> $names
     *
     * @throws InvalidConfiguration if one of them is given
     */
    public function refuse(array $names, string $address): void
    {
        foreach ($names as $name) {
            if (isset($this->values[$name])) {
                throw new InvalidConfiguration("the option $name of a DSN does not go with $address");
            }
        }
    }

    public function text(string $name, ?string $default = null): ?string
    {
        $value = $this->values[$name] ?? null;
        if ($value !== null && \preg_match('/\A[^\p{Cc}]+\z/u', $value) !== 1) {
            throw self::expected($name, 'text');
        }

        return $value ?? $default;
    }

    /** @param list<string> $choices the first is the default */
    public function choice(string $name, array $choices): string
    {
        $value = $this->values[$name] ?? $choices[0];
        if (!\in_array($value, $choices, true)) {
            $last = \array_pop($choices);
            throw self::expected($name, \implode(', ', $choices) . " or $last");
        }

        return $value;
    }

    public function seconds(string $name, float $default): float
    {
        $value = $this->values[$name] ?? null;
        if ($value === null) {
            return $default;
        }
        if (\preg_match('/\A([0-9]{1,7})(ms|s)\z/', $value, $match) !== 1) {
            throw self::expected($name, 'a time with its unit, as 50ms or 2s');
        }
        $seconds = (int) $match[1] / ($match[2] === 'ms' ? 1000 : 1);
        if ($seconds <= 0 || $seconds > 3600) {
            throw self::expected($name, 'more than 0 and at most 3600s');
        }

        return $seconds;
    }

    public function yesOrNo(string $name): bool
    {
        return match ($this->values[$name] ?? 'no') {
            'yes', '1', 'true' => true,
            'no', '0', 'false' => false,
            default => throw self::expected($name, 'yes or no'),
        };
    }

    public function bytes(string $name, int $default): int
    {
        $value = $this->values[$name] ?? null;
        if ($value === null) {
            return $default;
        }
        if (\preg_match('/\A([1-9][0-9]{0,9})(KiB|MiB)?\z/', $value, $match) !== 1) {
            throw self::expected($name, 'a size of at least 1, as 65536, 64KiB or 1MiB');
        }

        return (int) $match[1] * match ($match[2] ?? '') {
            'KiB' => 1024,
            'MiB' => 1048576,
            default => 1,
        };
    }

    public function count(string $name, int $default): int
    {
        $value = $this->values[$name] ?? null;
        if ($value !== null && \preg_match('/\A[1-9][0-9]{0,8}\z/', $value) !== 1) {
            throw self::expected($name, 'a number of messages, at least 1');
        }

        return (int) ($value ?? $default);
    }

    private static function expected(string $option, string $what): InvalidConfiguration
    {
        return new InvalidConfiguration("the option $option of a DSN: expected $what");
    }
}
