<?php

/*
 * Publishing, tokens and hand-offs from a page without composer, in one line:
 *
 *     require '/path/to/php-client/functions.php';
 *     sidecast_publish('news', ['title' => 'Hello']);
 *     sidecast_handoff(["user/$id"]);
 *
 * None of them throws; a failure is written to PHP's error log.
 */

declare(strict_types=1);

if (!function_exists('sidecast_publish')) {
    // where composer's autoloader is not, and then only for a page that calls one of them
    spl_autoload_register(static function (string $class): void {
        $file = __DIR__ . '/src/' . strtr(substr($class, strlen('Sidecast\\')), '\\', '/') . '.php';
        if (str_starts_with($class, 'Sidecast\\') && is_file($file)) {
            require_once $file;
        }
    });

    /**
     * Publishes one message. Never waits longer than 50 ms, or what the DSN says.
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
        return \Sidecast\Page::publish($channel, $data, $options);
    }

    /**
     * Publishes one message and waits until the server says that it has; it is sent again with the same key if no
     * answer comes.
     *
     * @param array<string, mixed> $options as of sidecast_publish(), and `timeout`: seconds that it may take in all
     *         (1.0)
     *
     * @return ?string the message's id, as clients see it; null: not confirmed
     */
    function sidecast_publish_and_confirm(string $channel, mixed $data, array $options = []): ?string
    {
        return \Sidecast\Page::publishAndConfirm($channel, $data, $options);
    }

    /**
     * A token that lets its bearer listen to these channels; the server must know the secret (HS256).
     *
     * The secret, of at least 32 bytes, is $options['secret'], else the constant or environment variable
     * SIDECAST_TOKEN_SECRET.
     *
     * @param array<string>        $channels names in full: one with `*` is refused, for it may be what a user sent
     * @param array<string, mixed> $options  patterns, client, publish, ttl (3600 s), issuer, audience (see
     *         Sidecast\Token),
     *                                       secret; cookie: a path, to set it as a cookie for what lies below
     *
     * @return ?string the token; null: it cannot be made so
     */
    function sidecast_token(array $channels, array $options = []): ?string
    {
        return \Sidecast\Page::token($channels, $options);
    }

    /**
     * Answers this page's request by handing it over to Sidecast, which lets it listen to these channels. Call it
     * before any output, and end the page after it. If it cannot be done so, the answer is 403.
     *
     * @param array<string>        $channels names in full, at least one: one with a comma or `*` is refused
     * @param array<string, mixed> $options  patterns, client, expires, location (see Sidecast\Handoff)
     *
     * @return bool whether it was handed over
     */
    function sidecast_handoff(array $channels, array $options = []): bool
    {
        return \Sidecast\Page::handoff($channels, $options);
    }
}
