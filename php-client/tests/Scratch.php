<?php

declare(strict_types=1);

namespace Sidecast\Tests;

/** A private directory for one test case's sockets. */
trait Scratch
{
    private string $scratch = '';

    /** @before */
    protected function makeScratch(): void
    {
        $this->scratch = \sys_get_temp_dir() . '/sidecast-' . \bin2hex(\random_bytes(6));
        \mkdir($this->scratch, 0700);
    }

    /** @after */
    protected function removeScratch(): void
    {
        \array_map('unlink', \glob($this->scratch . '/*') ?: []);
        \rmdir($this->scratch);
    }
}
