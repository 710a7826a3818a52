<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** Descriptors and memory of a process while nobody is connected to anything. */
final class Resources
{
    public function __construct(public readonly int $descriptors, public readonly int $kib)
    {
    }

    public static function of(int $pid): self
    {
        $status = (string) @file_get_contents("/proc/$pid/status");
        $kib = preg_match('/^VmRSS:\s+(\d+) kB/m', $status, $match) === 1 ? (int) $match[1] : 0;
        return new self(count((array) @scandir("/proc/$pid/fd")) - 2, $kib);
    }

    public function __toString(): string
    {
        return sprintf('%d descriptors, %.1f MiB', $this->descriptors, $this->kib / 1024);
    }
}
