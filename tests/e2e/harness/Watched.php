<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Something with a stream that Loop reads from and writes to. */
interface Watched
{
    /** @return resource */
    public function stream();

    public function wantsRead(): bool;

    public function wantsWrite(): bool;

    public function readable(): void;

    public function writable(): void;
}
