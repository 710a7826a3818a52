<?php

declare(strict_types=1);

namespace Sidecast;

use Sidecast\Exception\InvalidConfiguration;

/**
 * Keys for CURVE, ZeroMQ's encryption (https://rfc.zeromq.org/spec/26/): of the server the public one, of the client
 * both.
 *
 * A key is 40 digits of Z85 or 64 hexadecimal ones. A client's file has lines `public = …` and `secret = …`, as
 * Sidecast writes them, or a certificate's `public-key = "…"` and `secret-key = "…"`, as czmq does. The secret key
 * alone, in a line, is enough where ext-sodium is loaded to make the other of it.
 */
final class Curve
{
    private const Z85 = '/\A[0-9a-zA-Z.:+=^!\/*?&<>()\[\]{}@%$#-]{40}\z/';
    private const HEXADECIMAL = '/\A[0-9a-fA-F]{64}\z/';

    /** What php-zmq has to know; 1.1.3 does, if its libzmq was built with CURVE. */
    private const CONSTANTS = ['SOCKOPT_CURVE_SERVERKEY', 'SOCKOPT_CURVE_PUBLICKEY', 'SOCKOPT_CURVE_SECRETKEY'];

    private function __construct(
        private readonly string $server,
        private readonly ?string $public,
        #[\SensitiveParameter] private readonly ?string $secret,
    ) {
    }

    /**
     * @param ?string $serverKey     the server's public key; null: no CURVE
     * @param ?string $clientKeyFile null: a new key for each process, for a server that takes any client
     *
     * @throws InvalidConfiguration if a key is malformed, or the file cannot be read
     */
    public static function of(?string $serverKey, ?string $clientKeyFile = null): ?self
    {
        if ($serverKey === null) {
            return $clientKeyFile === null
                ? null
                : throw new InvalidConfiguration('client_key_file is of no use without server_key');
        }
        [$public, $secret] = $clientKeyFile === null ? [null, null] : self::read($clientKeyFile);

        return new self(self::key($serverKey, 'server_key'), $public, $secret);
    }

    /**
     * Without the keys, so that var_dump() cannot tell the secret one.
     *
     * @return array<string, string>
     */
    public function __debugInfo(): array
    {
        return ['name' => $this->name()];
    }

    /** Name for what is made with these keys: says nothing of them, but another for others. */
    public function name(): string
    {
        return \substr(\hash('sha256', "$this->server $this->public $this->secret"), 0, 16);
    }

    /**
     * Makes a socket that is not connected yet use the keys.
     *
     * @throws InvalidConfiguration if php-zmq or libzmq was built without CURVE
     */
    public function secure(\ZMQSocket $socket): void
    {
        self::insist();
        try {
            $own = $this->secret === null
                ? \ZMQ::curveKeypair()
                : ['public_key' => $this->public, 'secret_key' => $this->secret];
            $socket->setSockOpt(\ZMQ::SOCKOPT_CURVE_SERVERKEY, $this->server);
            $socket->setSockOpt(\ZMQ::SOCKOPT_CURVE_PUBLICKEY, $own['public_key']);
            $socket->setSockOpt(\ZMQ::SOCKOPT_CURVE_SECRETKEY, $own['secret_key']);
        } catch (\ZMQException $error) {
            throw new InvalidConfiguration('libzmq takes no such keys: ' . $error->getMessage(), 0, $error);
        }
    }

    /** @throws InvalidConfiguration if this PHP cannot do CURVE */
    public static function insist(): void
    {
        foreach (self::CONSTANTS as $constant) {
            if (!\defined("ZMQ::$constant") || !\method_exists('ZMQ', 'curveKeypair')) {
                throw new InvalidConfiguration('CURVE needs ext-zmq 1.1.3 or newer, built with it');
            }
        }
    }

    /** @return array{string, string} public and secret key */
    private static function read(string $file): array
    {
        $text = @\file_get_contents($file);
        if ($text === false) {
            throw new InvalidConfiguration("client_key_file: $file cannot be read");
        }
        $found = [];
        foreach (\explode("\n", $text) as $line) {
            if (\preg_match('/\A\s*(public|secret)(?:-key)?\s*=\s*"?([^\s"]+)"?\s*\z/', $line, $match) === 1) {
                $found[$match[1]] = self::key($match[2], 'client_key_file');
            } elseif (self::isKey(\trim($line))) {
                $found['secret'] = self::key(\trim($line), 'client_key_file');
            }
        }
        $secret = $found['secret']
            ?? throw new InvalidConfiguration("client_key_file: expected a line `secret = <key>` in $file");
        if (isset($found['public'])) {
            return [$found['public'], $secret];
        }
        if (!\function_exists('sodium_crypto_scalarmult_base')) {
            throw new InvalidConfiguration('client_key_file: without ext-sodium it must hold the public key too');
        }

        return [\sodium_crypto_scalarmult_base($secret), $secret];
    }

    private static function isKey(#[\SensitiveParameter] string $text): bool
    {
        return \preg_match(self::Z85, $text) === 1 || \preg_match(self::HEXADECIMAL, $text) === 1;
    }

    /** The 32 bytes of a key. */
    private static function key(#[\SensitiveParameter] string $text, string $where): string
    {
        return match (true) {
            \preg_match(self::HEXADECIMAL, $text) === 1 => (string) \hex2bin($text),
            \preg_match(self::Z85, $text) === 1 => self::decode($text),
            default => throw new InvalidConfiguration("$where: expected a key of 40 Z85 or 64 hexadecimal digits"),
        };
    }

    /** Z85 (https://rfc.zeromq.org/spec/32/): five digits for each four bytes. */
    private static function decode(string $text): string
    {
        $digits = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';
        $bytes = '';
        foreach (\str_split($text, 5) as $group) {
            $number = 0;
            foreach (\str_split($group) as $digit) {
                $number = $number * 85 + (int) \strpos($digits, $digit);
            }
            $bytes .= \pack('N', $number & 0xffffffff);
        }

        return $bytes;
    }
}
