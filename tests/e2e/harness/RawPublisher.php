<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** A ZMTP 3.0 peer byte by byte: for tests that look at the connection itself, or break the rules. */
final class RawPublisher extends Connection
{
    private string $input = '';

    /** @param string $endpoint as the daemon's publish.listen */
    public static function connect(string $endpoint, string $type = 'PUSH'): self
    {
        $publisher = new self(preg_replace('~^ipc://~', 'unix://', $endpoint));
        $ready = "\x05READY\x0bSocket-Type" . pack('N', strlen($type)) . $type;
        $publisher->send("\xff\0\0\0\0\0\0\0\0\x7f\x03\0" . str_pad('NULL', 20, "\0") . str_repeat("\0", 32)
            . "\x04" . chr(strlen($ready)) . $ready);
        Loop::until(fn () => str_contains($publisher->input, 'Socket-Type') || $publisher->closed, 'the ZMTP handshake');
        return $publisher;
    }

    public static function message(string ...$frames): string
    {
        $bytes = '';
        $last = array_key_last($frames);
        foreach ($frames as $index => $frame) {
            $bytes .= self::frameHead(strlen($frame), $index !== $last) . $frame;
        }
        return $bytes;
    }

    public static function frameHead(int $length, bool $more = false): string
    {
        $flags = $more ? 1 : 0;
        return $length < 256 ? chr($flags) . chr($length) : chr($flags | 2) . pack('J', $length);
    }

    public function isReady(): bool
    {
        return !$this->closed && str_contains($this->input, 'Socket-Type');
    }

    /** Waits until the kernel has taken all that was sent. */
    public function flush(): void
    {
        Loop::until(fn () => $this->allSent() || $this->closed, 'the daemon to take what was published');
    }

    protected function received(string $bytes): void
    {
        $this->input .= $bytes;
    }
}
