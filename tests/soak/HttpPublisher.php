<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** Publishes through nginx, one message after the other; what was not answered with its id is sent again with the same key, and now and then what was. */
final class HttpPublisher
{
    /** One of so many is sent again although it was answered. */
    private const REPEATED = 5;
    private int $number = 0;
    private float $nextAt = 0;
    private ?\CurlHandle $transfer = null;
    private string $channel = '';
    private string $answer = '';
    private int $killsAtStart = 0;

    public function __construct(private readonly World $world, private readonly string $name, private readonly float $every)
    {
    }

    public function goOn(): void
    {
        if ($this->transfer !== null || microtime(true) < $this->nextAt) {
            return;
        }
        $this->channel = $this->channel ?: Channels::kept();
        $this->answer = '';
        $this->killsAtStart = $this->world->figures->of('kills');
        $uri = "/publish?channel=$this->channel&key=$this->name/$this->number";
        $this->transfer = $this->world->transfers->begin($uri, [
            CURLOPT_POSTFIELDS => $this->data(),
            CURLOPT_WRITEFUNCTION => function ($transfer, string $bytes): int {
                $this->answer .= $bytes;
                return strlen($bytes);
            },
        ], $this->ended(...));
    }

    private function data(): string
    {
        return "$this->channel $this->name/$this->number";
    }

    private function ended(\CurlHandle $transfer, int $error): void
    {
        $this->transfer = null;
        $status = curl_getinfo($transfer, CURLINFO_RESPONSE_CODE);
        $this->nextAt = microtime(true) + $this->every * mt_rand(500, 1500) / 1000;
        if ($status === 202) {
            $this->world->figures->count('acknowledged');
            $this->world->ledger->learn(EventId::number(json_decode($this->answer, true)['ids'][0]), $this->data());
            if (mt_rand(1, self::REPEATED) === 1) {
                $this->world->figures->count('repeated with the same key');
                return;
            }
            $this->number++;
            $this->channel = '';
        } elseif ($status !== 503 && $this->world->figures->of('kills') === $this->killsAtStart) {
            $this->world->findings->add(Findings::OPEN, "publishing over HTTP got $status, " . curl_strerror($error) . ": $this->answer");
        } else {
            $this->world->figures->count('repeated with the same key');
        }
    }
}
