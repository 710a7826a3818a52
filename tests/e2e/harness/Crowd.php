<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/**
 * Thousands of EventSource clients at once, more than stream_select() can look at: each comes back after its stream ended, at the time that it was
 * told and with the id of its last event. Whatever ends an EventSource for good fails the test. Moves on when pump() is called.
 */
final class Crowd
{
    private const AT_ONCE = 200;
    /** @var list<CrowdMember> */
    public readonly array $members;
    private readonly \CurlMultiHandle $multi;
    /** @var array<int, CrowdMember> by the id of its transfer */
    private array $running = [];

    /** @param callable(int): array<string, string> $headers what each sends */
    public function __construct(int $count, private readonly FrontEnd $frontEnd, private readonly string $uri, callable $headers)
    {
        $this->multi = curl_multi_init();
        $this->members = array_map(static fn (int $number) => new CrowdMember($headers($number)), range(1, $count));
    }

    /**
     * @param callable(CrowdMember): bool $isTrue waits until it is of all
     * @param ?callable(): void           $meanwhile called again and again
     */
    public function until(callable $isTrue, string $event, ?callable $meanwhile = null): void
    {
        Loop::until(function () use ($isTrue, $meanwhile): bool {
            $this->pump();
            $meanwhile && $meanwhile();
            foreach ($this->members as $member) {
                if (!$isTrue($member)) {
                    return false;
                }
            }
            return true;
        }, $event, 3 * Loop::PATIENCE);
    }

    public function pump(): void
    {
        $coming = array_filter($this->members, static fn (CrowdMember $member) => $member->comesAt <= Loop::now());
        array_map($this->connect(...), array_slice($coming, 0, self::AT_ONCE)); // a full backlog refuses on unix sockets
        curl_multi_exec($this->multi, $running);
        while (($done = curl_multi_info_read($this->multi)) !== false) {
            $this->ended($done['handle']);
        }
    }

    public function leave(): void
    {
        foreach ($this->members as $member) {
            $member->comesAt = INF;
            if ($member->transfer !== null) {
                curl_multi_remove_handle($this->multi, $member->transfer);
                $member->transfer = null;
            }
        }
    }

    private function connect(CrowdMember $member): void
    {
        $member->transfer = curl_init($this->frontEnd->url($this->uri));
        curl_setopt_array($member->transfer, [
            CURLOPT_UNIX_SOCKET_PATH => $this->frontEnd->socket(),
            CURLOPT_HTTPHEADER => $member->begin(),
            CURLOPT_WRITEFUNCTION => static fn ($handle, string $bytes): int => $member->takes($bytes),
        ]);
        curl_multi_add_handle($this->multi, $member->transfer);
        $this->running[spl_object_id($member->transfer)] = $member;
    }

    private function ended(\CurlHandle $transfer): void
    {
        $member = $this->running[spl_object_id($transfer)];
        unset($this->running[spl_object_id($transfer)]);
        $status = curl_getinfo($transfer, CURLINFO_RESPONSE_CODE);
        $type = (string) curl_getinfo($transfer, CURLINFO_CONTENT_TYPE);
        Assert::assertSame([200, 'text/event-stream'], [$status, explode(';', $type)[0]], 'an EventSource would be CLOSED ' . curl_error($transfer));
        curl_multi_remove_handle($this->multi, $transfer);
        $member->ended();
    }
}
