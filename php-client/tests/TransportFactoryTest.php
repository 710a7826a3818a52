<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Dsn;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Transport\HttpTransport;
use Sidecast\Transport\NullTransport;
use Sidecast\Transport\TransportFactory;
use Sidecast\Transport\ZmqTransport;
use Sidecast\Transport\ZmtpTransport;

final class TransportFactoryTest extends TestCase
{
    /** @requires extension zmq */
    public function testExtensionIsPreferred(): void
    {
        self::assertInstanceOf(ZmqTransport::class, TransportFactory::create('tcp://127.0.0.1:5555'));
    }

    public function testPurePhpWithoutTheExtension(): void
    {
        $php = new PlainPhp('-n'); // without php.ini there is no extension to load
        $php->run('require $argv[1] . "/src/load.php"; echo Sidecast\Transport\TransportFactory::create()::class;');
        self::assertSame(ZmtpTransport::class, $php->output);
    }

    public function testExtensionCannotBeUsedWithoutIt(): void
    {
        $php = new PlainPhp('-n');
        $php->run('require $argv[1] . "/src/load.php"; try {
            new Sidecast\Transport\ZmqTransport(Sidecast\Endpoint::parse("tcp://127.0.0.1:5555"));
        } catch (Sidecast\Exception\InvalidConfiguration $error) { echo $error->getMessage(); }');
        self::assertSame('ext-zmq is not loaded', $php->output);
    }

    public function testTheDsnNamesTheTransport(): void
    {
        $dsn = 'sidecast+tcp://127.0.0.1:5555?transport=zmtp';
        self::assertInstanceOf(ZmtpTransport::class, TransportFactory::create($dsn));
        self::assertInstanceOf(ZmtpTransport::class, TransportFactory::create(Dsn::parse($dsn)));
        self::assertInstanceOf(NullTransport::class, TransportFactory::create('sidecast+null:'));
        self::assertInstanceOf(HttpTransport::class, TransportFactory::create('sidecast+http://127.0.0.1/'));
    }

    public function testPurePhpSaysThatItCannotEncrypt(): void
    {
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage('CURVE (server_key) needs ext-zmq');
        $key = \str_repeat('0f', 32);
        TransportFactory::create("sidecast+tcp://127.0.0.1:5555?transport=zmtp&server_key=$key");
    }

    public function testADsnThatAsksForTheExtensionIsRefusedWithoutIt(): void
    {
        $php = new PlainPhp('-n');
        $php->run('require $argv[1] . "/src/load.php"; try {
            Sidecast\Publisher::connect("sidecast+tcp://127.0.0.1:5555?transport=zmq");
        } catch (Sidecast\Exception\InvalidConfiguration $error) { echo $error->getMessage(); }');
        self::assertSame('ext-zmq is not loaded', $php->output);
    }

    public function testMalformedEndpointIsRefusedBeforeAnythingIsPublished(): void
    {
        $this->expectException(InvalidConfiguration::class);
        TransportFactory::create('publish.sock');
    }
}
