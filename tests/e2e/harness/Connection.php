<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** A non-blocking stream connection with an output queue; what arrives goes to received(). */
abstract class Connection implements Watched
{
    /** Nothing more will arrive. */
    public bool $closed = false;
    /** A write failed: the peer takes nothing more. What it has sent may still be read. */
    public bool $refused = false;
    /** @var list<float> when something was read */
    public array $reads = [];
    /** @var resource */
    private $stream;
    private string $output = '';
    private bool $reading = true;

    /** @param string $address as stream_socket_client() takes it */
    public function __construct(string $address)
    {
        $stream = @stream_socket_client($address, $number, $message, Loop::PATIENCE);
        if ($stream === false) {
            throw new \RuntimeException("$address: $message");
        }
        $this->stream = $stream;
        stream_set_blocking($stream, false);
        stream_set_read_buffer($stream, 0);
        stream_set_write_buffer($stream, 0);
        Loop::add($this);
    }

    public function send(string $bytes): void
    {
        $this->output .= $bytes;
        $this->writable();
    }

    /** Sends the bytes in pieces of the given size, each in a write of its own that the kernel has taken. */
    public function sendInPieces(string $bytes, int $size = 1): void
    {
        foreach (str_split($bytes, $size) as $piece) {
            $this->send($piece);
            Loop::until(fn () => $this->output === '', 'a piece to be taken');
        }
    }

    /** Stops reading, as a client does that hangs; the peer's buffers fill. */
    public function pause(): void
    {
        $this->reading = false;
    }

    public function resume(): void
    {
        $this->reading = true;
    }

    public function close(): void
    {
        Loop::remove($this);
        if (is_resource($this->stream)) {
            fclose($this->stream);
        }
        if (!$this->closed) {
            $this->closed = true;
            $this->ended();
        }
    }

    public function waitForClose(): void
    {
        Loop::until(fn () => $this->closed, 'the peer to close the connection');
    }

    public function allSent(): bool
    {
        return $this->output === '';
    }

    public function stream()
    {
        return $this->stream;
    }

    public function wantsRead(): bool
    {
        return $this->reading;
    }

    public function wantsWrite(): bool
    {
        return $this->output !== '';
    }

    public function readable(): void
    {
        $bytes = @fread($this->stream, 65536);
        if ($bytes !== false && $bytes !== '') {
            $this->reads[] = Loop::now();
            $this->received($bytes);
        } elseif (feof($this->stream)) {
            $this->close();
        }
    }

    public function writable(): void
    {
        if ($this->output === '' || $this->closed) {
            return;
        }
        $written = @fwrite($this->stream, $this->output);
        if ($written === false) {
            $this->output = '';
            $this->refused = true;
            return;
        }
        $this->output = substr($this->output, $written);
    }

    abstract protected function received(string $bytes): void;

    /** The connection ended, from either side; called once. */
    protected function ended(): void
    {
    }
}
