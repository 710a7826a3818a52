<?php

/*
 * Publishing from a page without composer, in one line:
 *
 *     require '/path/to/php-client/functions.php';
 *     sidecast_publish('news', ['title' => 'Hello']);
 */

declare(strict_types=1);

if (!function_exists('sidecast_publish')) {
    /**
     * Publishes one message. Never throws and never waits longer than 50 ms, or what the DSN says; a failure is written
     * to PHP's error log.
     *
     * The endpoint or DSN (see Sidecast\Dsn) is $options['endpoint'], else the constant SIDECAST_PUBLISH, else the
     * environment variable (or FastCGI parameter) SIDECAST_PUBLISH, else ipc:///run/sidecast/publish.sock.
     *
     * @param string               $channel 1-255 bytes of UTF-8 without control characters, spaces, commas and `*`
     * @param mixed                $data    a string goes out as it is, anything else as its JSON text
     * @param array<string, mixed> $options event, except, ttl, store, key (see Sidecast\Message), endpoint
     *
     * @return bool whether it was handed over
     */
    function sidecast_publish(string $channel, mixed $data, array $options = []): bool
    {
        /** @var array<string, \Sidecast\Publisher> $publishers by endpoint */
        static $publishers = [];

        if (!class_exists(\Sidecast\Publisher::class)) {
            require_once __DIR__ . '/src/load.php';
        }
        $endpoint = $options['endpoint']
            ?? (defined('SIDECAST_PUBLISH') ? constant('SIDECAST_PUBLISH') : (getenv('SIDECAST_PUBLISH') ?: null))
            ?? \Sidecast\Endpoint::DEFAULT;
        unset($options['endpoint']);
        try {
            if (!is_string($endpoint)) {
                throw new \Sidecast\Exception\InvalidConfiguration('the endpoint must be a string');
            }
            $publishers[$endpoint] ??= \Sidecast\Publisher::connect($endpoint, throws: false);
            $reason = $publishers[$endpoint]->publish($channel, $data, $options)->reason();
        } catch (\Sidecast\Exception\SidecastException $error) {
            $reason = $error->getMessage();
        }
        if ($reason !== null) {
            error_log('sidecast_publish: not handed over: ' . $reason);
        }

        return $reason === null;
    }
}
