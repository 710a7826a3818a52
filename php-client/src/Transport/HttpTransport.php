<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Confirmation;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Exception\TransportException;

/**
 * Publishes over HTTP, where there is no way to the ZeroMQ socket. Each call waits for the server's answer, so it
 * always knows what became of a message.
 */
final class HttpTransport implements ConfirmingTransportInterface
{
    private readonly string $url;
    private readonly HttpClientInterface $client;

    /**
     * Connects to nothing yet: the first message does.
     *
     * @param string               $url    where the server takes messages in: `https://example.org/publish`
     * @param ?Bearer              $bearer shows that this may publish; null: the web server lets it in
     * @param ?HttpClientInterface $client null: ext-curl if it is there, else plain streams
     *
     * @throws InvalidConfiguration if it is no such address
     */
    public function __construct(
        string $url,
        private readonly ?Bearer $bearer = null,
        ?HttpClientInterface $client = null,
    ) {
        $this->url = self::url($url);
        $this->client = $client ?? (\extension_loaded('curl') ? new CurlClient() : new StreamClient());
    }

    /**
     * The address, if it is one.
     *
     * @throws InvalidConfiguration
     */
    public static function url(string $url): string
    {
        $authority = '(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?';
        $path = '(?:/[\x21\x22\x24-\x3e\x40-\x7e]*)?'; // all that is printable, but for # and ?
        if (\preg_match('~\Ahttps?://' . $authority . $path . '\z~', $url) !== 1) {
            throw new InvalidConfiguration(\sprintf(
                'address "%s": expected http://host:port/path or https://…, without user, query and fragment',
                // who writes a password into it does not want to read it in a log
                \addcslashes((string) \preg_replace('~//.*@~s', '//…@', $url), "\0..\37\177"),
            ));
        }

        return $url;
    }

    /**
     * Publishes and waits for the answer.
     *
     * @throws TransportException when the server did not take all of it, or did not answer; request() tells more
     */
    public function send(array $frames, float $timeout): void
    {
        foreach ($this->request($frames, 1, $timeout) as $confirmation) {
            if ($confirmation->code !== null) {
                throw new TransportException($confirmation->message);
            }
        }
    }

    public function request(array $frames, int $items, float $timeout): array
    {
        [$query, $type, $body] = self::form($frames);
        $headers = ['Content-Type' => $type, 'Accept' => 'application/json'];
        $headers += $this->bearer === null ? [] : ['Authorization' => $this->bearer->header()];
        [$status, $answer] = $this->client->post($this->url . $query, $headers, $body, $timeout);

        return HttpAnswers::parse($status, $answer, $items);
    }

    public function alwaysConfirms(): bool
    {
        return true;
    }

    /**
     * @param non-empty-list<string> $frames
     *
     * @return array{string, string, string} query, content type, body
     */
    private static function form(array $frames): array
    {
        if (\count($frames) === 1) {
            return ['', 'application/json', $frames[0]];
        }
        $options = \json_decode($frames[2] ?? '{}', true);
        $options = \array_map(
            static fn (mixed $value): string => $value === false ? 'false' : (string) $value,
            \is_array($options) ? $options : [],
        );
        $query = \http_build_query(['channel' => $frames[0]] + $options, '', '&', \PHP_QUERY_RFC3986);

        return ["?$query", 'text/plain; charset=utf-8', $frames[1]];
    }
}
