<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** Collects what a process writes to one of its outputs, in memory and in a log file. */
final class Drain implements Watched
{
    public string $text = '';

    /** @param resource $stream */
    public function __construct(private $stream, private readonly ?string $file = null)
    {
        stream_set_blocking($stream, false);
        stream_set_read_buffer($stream, 0);
        Loop::add($this);
    }

    public function stream()
    {
        return $this->stream;
    }

    public function wantsRead(): bool
    {
        return true;
    }

    public function wantsWrite(): bool
    {
        return false;
    }

    public function readable(): void
    {
        $bytes = (string) fread($this->stream, 65536);
        if ($bytes === '') {
            if (feof($this->stream)) {
                $this->close();
            }
            return;
        }
        $this->text .= $bytes;
        if ($this->file !== null) {
            file_put_contents($this->file, $bytes, FILE_APPEND);
        }
    }

    public function writable(): void
    {
    }

    /** Reads what is still there, without waiting for more. */
    public function finish(): void
    {
        do {
            $had = strlen($this->text);
            if (is_resource($this->stream)) {
                $this->readable();
            }
        } while (strlen($this->text) > $had);
        $this->close();
    }

    private function close(): void
    {
        Loop::remove($this);
        if (is_resource($this->stream)) {
            fclose($this->stream);
        }
    }
}
