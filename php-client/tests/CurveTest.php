<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Curve;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Publisher;

/**
 * CURVE, with a PULL socket of libzmq that has a key.
 *
 * @requires extension zmq
 */
final class CurveTest extends TestCase
{
    use Scratch;

    private \ZMQSocket $pull;

    /** @var array{public_key: string, secret_key: string} */
    private array $server;

    private string $address;

    protected function setUp(): void
    {
        if (!\method_exists('ZMQ', 'curveKeypair')) {
            self::markTestSkipped('ext-zmq was built without CURVE');
        }
        $this->server = \ZMQ::curveKeypair();
        $this->pull = (new \ZMQContext(1, false))->getSocket(\ZMQ::SOCKET_PULL);
        $this->pull->setSockOpt(\ZMQ::SOCKOPT_LINGER, 0);
        $this->pull->setSockOpt(\ZMQ::SOCKOPT_RCVTIMEO, 5000);
        $this->pull->setSockOpt(\ZMQ::SOCKOPT_CURVE_SERVER, 1);
        $this->pull->setSockOpt(\ZMQ::SOCKOPT_CURVE_SECRETKEY, $this->server['secret_key']);
        $this->pull->bind('tcp://127.0.0.1:*');
        $this->address = 'sidecast+' . \rtrim((string) $this->pull->getSockOpt(\ZMQ::SOCKOPT_LAST_ENDPOINT), "\0");
    }

    /** @dataProvider clients */
    public function testAMessageGoesThroughEncrypted(string $file, bool $hexadecimal): void
    {
        $client = \ZMQ::curveKeypair();
        \file_put_contents("$this->scratch/client", \strtr($file, [
            'PUBLIC' => $client['public_key'],
            'SECRET' => $client['secret_key'],
        ]));
        $key = $hexadecimal
            ? \bin2hex(\ZMQ::z85decode($this->server['public_key']))
            : \rawurlencode($this->server['public_key']);
        $options = "?transport=zmq&server_key=$key" . ($file === '' ? '' : "&client_key_file=$this->scratch/client");
        self::assertTrue(Publisher::connect($this->address . $options)->publish('c', 'secret')->ok);
        self::assertSame(['c', 'secret'], $this->pull->recvMulti());
    }

    /** @return iterable<string, array{string, bool}> */
    public static function clients(): iterable
    {
        yield 'a key for this process' => ['', false];
        yield 'the key in hexadecimal' => ['', true];
        yield 'a file of Sidecast' => ["# mine\nsecret = SECRET\npublic = PUBLIC\n", false];
        yield 'a certificate' => ["curve\n    public-key = \"PUBLIC\"\n    secret-key = \"SECRET\"\n", false];
        yield 'the secret key alone' => ["SECRET\n", false];
    }

    public function testWithAnotherServersKeyNothingArrives(): void
    {
        $this->pull->setSockOpt(\ZMQ::SOCKOPT_RCVTIMEO, 300);
        $key = \rawurlencode(\ZMQ::curveKeypair()['public_key']);
        Publisher::connect("$this->address?transport=zmq&server_key=$key")->publish('c', 'secret');
        self::assertFalse($this->pull->recvMulti());
    }

    public function testPurePhpReportsAServerThatWantsIt(): void
    {
        $result = Publisher::connect("$this->address?transport=zmtp&timeout=5s")->publish('c', 'secret');
        self::assertStringContainsString('CURVE, which ext-zmq has', (string) $result->reason());
    }

    public function testOtherKeysAreAnotherConnection(): void
    {
        $one = Curve::of(\str_repeat('0f', 32))?->name();
        self::assertSame($one, Curve::of(\str_repeat('0f', 32))?->name());
        self::assertNotSame($one, Curve::of(\str_repeat('0e', 32))?->name());
    }

    public function testADumpDoesNotTellTheSecretKey(): void
    {
        \file_put_contents("$this->scratch/client", 'secret = ' . \str_repeat('41', 32) . "\npublic = " . \str_repeat('42', 32));
        $curve = Curve::of(\str_repeat('0f', 32), "$this->scratch/client");
        self::assertStringNotContainsString('AAAA', \print_r($curve, true));
    }

    /** @dataProvider badFiles */
    public function testABadFileIsNamedButNotQuoted(?string $content, string $why): void
    {
        $file = "$this->scratch/client";
        if ($content !== null) {
            \file_put_contents($file, $content);
        }
        try {
            Curve::of(\str_repeat('0f', 32), $file);
            self::fail('it was taken');
        } catch (InvalidConfiguration $error) {
            self::assertStringContainsString($why, $error->getMessage());
            self::assertStringNotContainsString('geheim', $error->getMessage());
        }
    }

    /** @return iterable<string, array{?string, string}> */
    public static function badFiles(): iterable
    {
        yield 'none' => [null, 'cannot be read'];
        yield 'empty' => ['', 'expected a line'];
        yield 'something else' => ['geheim', 'expected a line'];
        yield 'a key that is too short' => ['secret = geheim', '40 Z85'];
    }
}
