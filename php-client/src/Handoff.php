<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\HandoffFailed;
use Sidecast\Exception\InvalidGrant;

/**
 * A page's answer that hands its request over to Sidecast: the page has looked at its session, says which channels its
 * visitor may listen to, and is done; nginx passes the request on.
 *
 *     Handoff::to(["user/$id"])->client($tab)->send();                                     // plain PHP
 *     $handoff = Handoff::to(["user/$id"]);
 *     return new Response('', $handoff->status(), $handoff->headers());                    // a framework
 *
 * Immutable: each call gives a new one.
 */
final class Handoff
{
    /** The internal location of nginx that leads to Sidecast. */
    public const LOCATION = '@sidecast';

    private const HEADERS = [
        'X-Accel-Redirect', 'X-Sidecast-Channels', 'X-Sidecast-Patterns', 'X-Sidecast-Client', 'X-Sidecast-Expires',
    ];

    /** @var list<string> */
    private array $channels = [];

    /** @var list<string> */
    private array $patterns = [];

    private ?string $client = null;
    private ?int $expires = null;
    private string $location = self::LOCATION;
    private bool $refused = false;

    private function __construct()
    {
    }

    /** One that grants nothing yet. */
    public static function make(): self
    {
        return new self();
    }

    /**
     * One that lets the visitor listen to these channels.
     *
     * @param array<string> $channels names in full: see channels()
     *
     * @throws InvalidGrant
     */
    public static function to(array $channels): self
    {
        return self::make()->channels($channels);
    }

    /** The answer to a visitor who may listen to nothing: 403, and nothing is handed over. */
    public static function refuse(): self
    {
        $handoff = new self();
        $handoff->refused = true;

        return $handoff;
    }

    /**
     * Grants these channels too.
     *
     * @param array<string> $channels names in full. A comma or `*` is refused, for it may be what a user sent
     *
     * @throws InvalidGrant if one is no channel
     */
    public function channels(array $channels): self
    {
        $handoff = clone $this;
        $handoff->channels = Grant::channels($channels, $this->channels);

        return $handoff;
    }

    /**
     * Grants every channel that one of these patterns matches. Never put into it what a user sent.
     *
     * @param array<string> $patterns `*` stands for anything within one segment between `/`, `**` for anything at all
     *
     * @throws InvalidGrant if one is no pattern
     */
    public function patterns(array $patterns): self
    {
        $handoff = clone $this;
        $handoff->patterns = Grant::patterns($patterns, $this->patterns);

        return $handoff;
    }

    /**
     * Says who it is: what a publisher's `except` is compared with, whatever the browser says.
     *
     * @param string $client 1-255 bytes of UTF-8 without control characters, and without blanks at either end
     *
     * @throws InvalidGrant
     */
    public function client(string $client): self
    {
        if (\trim($client, ' ') !== $client) {
            throw new InvalidGrant('client must not begin or end with a blank, which a header loses');
        }
        $handoff = clone $this;
        $handoff->client = Grant::client($client);

        return $handoff;
    }

    /**
     * Ends the permission, and the stream with it, at this moment: the browser then comes back and the page decides
     * anew.
     *
     * @param int $time seconds since 1970
     *
     * @throws InvalidGrant below 1
     */
    public function expires(int $time): self
    {
        if ($time < 1) {
            throw new InvalidGrant('a hand-off expires at a time in seconds since 1970');
        }
        $handoff = clone $this;
        $handoff->expires = $time;

        return $handoff;
    }

    /**
     * Leads to another location of nginx than LOCATION.
     *
     * @param string $location `@name`, or the path of an internal location
     *
     * @throws InvalidGrant if it is neither
     */
    public function location(string $location): self
    {
        if (\preg_match('~\A(@[A-Za-z0-9_.-]+|/[\x21-\x7e]*)\z~', $location) !== 1) {
            throw new InvalidGrant('the location of a hand-off must be @name or a path');
        }
        $handoff = clone $this;
        $handoff->location = $location;

        return $handoff;
    }

    /** The status of the answer: 200, or 403 if it is refused. */
    public function status(): int
    {
        return $this->refused ? 403 : 200;
    }

    /**
     * The headers of the answer.
     *
     * @return array<string, string> name => value
     *
     * @throws InvalidGrant if it grants nothing: refuse() says so on purpose
     */
    public function headers(): array
    {
        if ($this->refused) {
            return ['Cache-Control' => 'no-store'];
        }
        if ($this->channels === [] && $this->patterns === []) {
            throw new InvalidGrant('the hand-off grants nothing: give it channels, or refuse()');
        }

        return \array_filter([
            'X-Accel-Redirect' => $this->location,
            'X-Sidecast-Channels' => \implode(',', $this->channels),
            'X-Sidecast-Patterns' => \implode(',', $this->patterns),
            'X-Sidecast-Client' => (string) $this->client,
            'X-Sidecast-Expires' => (string) $this->expires,
        ], static fn (string $value): bool => $value !== '');
    }

    /**
     * Answers with it, where PHP's own header() is used. Ends the session's writing, so that its lock is free, and
     * takes its cache headers back: they would reach the browser beside Sidecast's own. Takes back, too, what an earlier
     * hand-off of this page has granted: nginx would follow it also with a refusal.
     *
     * @throws InvalidGrant  if it grants nothing
     * @throws HandoffFailed if output has begun: headers cannot be sent any more
     */
    public function send(): void
    {
        $headers = $this->headers();
        if (\headers_sent($file, $line)) {
            $where = $file === '' ? '' : " at $file:$line";
            throw new HandoffFailed("output has begun$where, so the hand-off's headers cannot be sent");
        }
        if (\function_exists('session_status')) {
            \session_status() === \PHP_SESSION_ACTIVE && \session_write_close();
            \session_cache_limiter(''); // should it be started again
        }
        \array_map('header_remove', ['Cache-Control', 'Expires', 'Pragma', ...self::HEADERS]);
        // nginx puts this charset to the stream's own type, and Chrome ends a stream that is not in UTF-8
        \header('Content-Type: text/plain; charset=UTF-8');
        foreach ($headers as $name => $value) {
            \header("$name: $value");
        }
        \http_response_code($this->status());
    }
}
