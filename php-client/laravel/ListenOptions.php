<?php

declare(strict_types=1);

namespace Sidecast\Laravel;

use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Handoff;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;
use Sidecast\Token\Signer;

/**
 * What `listen` of the connection in config/broadcasting.php may say:
 *
 * | option     | default     | meaning                                                                           |
 * |------------|-------------|-----------------------------------------------------------------------------------|
 * | `mode`     | `handoff`   | `handoff`: nginx passes the request on; `token`: JSON with a token; `cookie`      |
 * | `location` | `@sidecast` | where a hand-off leads                                                            |
 * | `ttl`      | 3600        | seconds until it ends; with `handoff` null is never                               |
 * | `public`   | none        | channels without private- or presence- that everybody may have, as for `Str::is`  |
 * | `secret`   |             | of at least 32 bytes, that signs tokens with HS256                                |
 * | `signer`   |             | a Signer in its place                                                             |
 * | `issuer`, `audience` |   | of tokens                                                                         |
 * | `path`     | `/`         | below which the cookie is sent                                                    |
 * | `secure`   | true        | the cookie over https only                                                        |
 *
 * @internal
 */
final class ListenOptions
{
    private const DEFAULTS = [
        'mode' => Answerer::HANDOFF,
        'location' => Handoff::LOCATION,
        'ttl' => 3600,
        'public' => [],
        'secret' => null,
        'signer' => null,
        'issuer' => null,
        'audience' => null,
        'path' => '/',
        'secure' => true,
    ];

    /**
     * @param array<array-key, mixed> $options
     *
     * @throws InvalidConfiguration if an option is unknown, or tokens have no key
     */
    public static function controller(SidecastBroadcaster $broadcaster, array $options): ListenController
    {
        foreach (\array_diff_key($options, self::DEFAULTS) as $name => $value) {
            throw new InvalidConfiguration(\sprintf(
                'unknown option "%s" of listen, known are %s',
                $name,
                \implode(', ', \array_keys(self::DEFAULTS)),
            ));
        }
        $options += self::DEFAULTS;

        return new ListenController($broadcaster, self::answerer($options), \array_values((array) $options['public']));
    }

    /** @param array<array-key, mixed> $options */
    private static function answerer(array $options): Answerer
    {
        $mode = $options['mode'];
        if (!\in_array($mode, [Answerer::HANDOFF, Answerer::TOKEN, Answerer::COOKIE], true)) {
            throw new InvalidConfiguration('the mode of listen: expected handoff, token or cookie');
        }
        $signer = $mode === Answerer::HANDOFF ? null : self::signer($options);
        $token = Token::make()->ttl($options['ttl'] ?? self::DEFAULTS['ttl']);
        $token = $options['issuer'] === null ? $token : $token->issuer($options['issuer']);
        $token = $options['audience'] === null ? $token : $token->audience($options['audience']);
        $handoff = Handoff::make()->location($options['location']);

        return new Answerer($mode, $handoff, $token, $signer, $options['ttl'], $options['path'], $options['secure']);
    }

    /** @param array<array-key, mixed> $options */
    private static function signer(array $options): Signer
    {
        return $options['signer'] ?? new HmacSigner((string) $options['secret']);
    }
}
