<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** Descriptors and memory of a process while nobody is connected to anything. */
final class Resources
{
    /** @param list<string> $open what its descriptors are of */
    public function __construct(public readonly int $descriptors, public readonly int $kib, private readonly array $open)
    {
    }

    public static function of(int $pid): self
    {
        $status = (string) @file_get_contents("/proc/$pid/status");
        $kib = preg_match('/^VmRSS:\s+(\d+) kB/m', $status, $match) === 1 ? (int) $match[1] : 0;
        $open = array_map(static fn (string $file) => (string) @readlink($file), glob("/proc/$pid/fd/*"));
        return new self(count($open), $kib, $open);
    }

    /** What it has more of, or less, than the other: for whoever looks for a leak. */
    public function differences(self $before): string
    {
        $text = '';
        foreach (array_unique([...$this->open, ...$before->open]) as $what) {
            $more = count(array_keys($this->open, $what, true)) - count(array_keys($before->open, $what, true));
            $text .= $more === 0 ? '' : sprintf('; %+d %s', $more, $what);
        }
        return $text;
    }

    public function __toString(): string
    {
        return sprintf('%d descriptors, %.1f MiB', $this->descriptors, $this->kib / 1024);
    }
}
