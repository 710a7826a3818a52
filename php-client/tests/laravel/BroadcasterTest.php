<?php

declare(strict_types=1);

namespace Sidecast\Tests\laravel;

use Illuminate\Broadcasting\BroadcastEvent;
use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Broadcasting\Channel;
use Illuminate\Broadcasting\PresenceChannel;
use Illuminate\Broadcasting\PrivateChannel;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use PHPUnit\Framework\TestCase;
use Sidecast\Laravel\SidecastBroadcaster;
use Sidecast\Laravel\SidecastServiceProvider;
use Sidecast\Message;
use Sidecast\Publisher;
use Sidecast\PublisherInterface;
use Sidecast\PublishResult;
use Sidecast\Tests\Framework;
use Sidecast\Tests\RecordingLogger;
use Sidecast\Tests\RecordingTransport;
use Sidecast\Transport\InMemoryTransport;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/** With Laravel's own classes: those of vendor/ or of Debian's php-illuminate-broadcasting. */
final class BroadcasterTest extends TestCase
{
    private InMemoryTransport $transport;
    private SidecastBroadcaster $broadcaster;

    public static function setUpBeforeClass(): void
    {
        $missing = Framework::missing([
            BroadcastManager::class => 'Illuminate/Broadcasting',
            Repository::class => 'Illuminate/Config',
            Container::class => 'Illuminate/Container',
            AccessDeniedHttpException::class => 'Symfony/Component/HttpKernel',
        ]);
        if ($missing !== null) {
            self::markTestSkipped("$missing is not installed (Debian: php-illuminate-*, php-symfony-http-kernel)");
        }
    }

    protected function setUp(): void
    {
        $this->transport = new InMemoryTransport();
        $this->broadcaster = new SidecastBroadcaster(new Publisher($this->transport, throws: true));
    }

    public function testPublishesToEachChannelUnderItsName(): void
    {
        $channels = [new Channel('news'), new PrivateChannel('orders.1'), new PresenceChannel('room'), 'plain'];
        $this->broadcaster->broadcast($channels, 'shipped', ['order' => 1, 'socket' => null]);
        $expected = \array_map(
            static fn (string $channel): Message => new Message($channel, '{"order":1}', event: 'shipped'),
            ['news', 'private-orders.1', 'presence-room', 'plain'],
        );
        self::assertEquals($expected, $this->transport->messages());
    }

    public function testToOthersLeavesTheSenderOut(): void
    {
        $this->broadcaster->broadcast(['news'], 'e', ['a' => 1, 'socket' => 'tab-7']);
        self::assertEquals(new Message('news', '{"a":1}', event: 'e', except: 'tab-7'), $this->transport->last());
    }

    /** @dataProvider impossibleSockets */
    public function testASocketIdThatNoClientCanHaveLeavesNobodyOut(mixed $socket): void
    {
        $this->broadcaster->broadcast(['news'], 'e', ['a' => 1, 'socket' => $socket]);
        self::assertEquals(new Message('news', '{"a":1}', event: 'e'), $this->transport->last());
    }

    /** @return iterable<string, array{mixed}> */
    public static function impossibleSockets(): iterable
    {
        yield 'empty' => [''];
        yield 'too long' => [\str_repeat('a', 256)];
        yield 'control characters' => ["a\nb"];
        yield 'not UTF-8' => ["\xff"];
        yield 'no text' => [['a']];
    }

    public function testAnEventWithoutPropertiesIsAnObjectToo(): void
    {
        $this->broadcaster->broadcast(['news'], 'e', ['socket' => null]);
        self::assertSame(['{}'], $this->transport->data());
    }

    public function testWhatIsNotHandedOverIsABroadcastException(): void
    {
        $this->transport->failWith('the server is down');
        $this->expectExceptionObject(new BroadcastException('Sidecast: the server is down'));
        $this->broadcaster->broadcast(['news'], 'e');
    }

    public function testAlsoFromAPublisherThatDoesNotThrow(): void
    {
        $quiet = new SidecastBroadcaster(new Publisher(new RecordingTransport(0)));
        $this->expectExceptionObject(new BroadcastException('Sidecast: cable cut'));
        $quiet->broadcast(['news'], 'e');
    }

    public function testOneBadChannelNameAndNothingIsPublished(): void
    {
        try {
            $this->broadcaster->broadcast(['news', 'all the news'], 'e');
            self::fail('nothing was thrown');
        } catch (BroadcastException $error) {
            self::assertStringContainsString('channel must be', $error->getMessage());
        }
        self::assertCount(0, $this->transport, 'a queue tries again: nobody may get it twice');
    }

    public function testLaravelsOwnManagerFindsTheDriver(): void
    {
        $manager = $this->application('sidecast+null:')->make(BroadcastManager::class);
        self::assertInstanceOf(SidecastBroadcaster::class, $manager->connection());
        $event = new class {
            public int $order = 1;
            public ?string $socket = 'tab-7';

            /** @return list<Channel> */
            public function broadcastOn(): array
            {
                return [new Channel('news')];
            }

            public function broadcastAs(): string
            {
                return 'shipped';
            }
        };
        $manager->extend('sidecast', fn (): SidecastBroadcaster => $this->broadcaster);
        $manager->purge();
        (new BroadcastEvent($event))->handle($manager);
        self::assertEquals(
            new Message('news', '{"order":1}', event: 'shipped', except: 'tab-7'),
            $this->transport->last(),
        );
    }

    public function testANewerManagerBindsTheCreatorToItself(): void
    {
        $bound = null;
        $manager = $this->createPartialMock(BroadcastManager::class, ['extend']);
        $manager->method('extend')->willReturnCallback(
            static function (string $driver, \Closure $creator) use ($manager, &$bound): BroadcastManager {
                $bound = $creator->bindTo($manager, $manager); // as Laravel 13 does
                return $manager;
            },
        );
        $this->application('sidecast+null:', $manager)->make(BroadcastManager::class);
        self::assertInstanceOf(\Closure::class, $bound);
        self::assertInstanceOf(SidecastBroadcaster::class, $bound(new Container(), ['dsn' => 'sidecast+null:']));
    }

    public function testTheDriverOfTheProviderThrows(): void
    {
        $driver = $this->application('sidecast+ipc:///nowhere/p.sock?transport=zmtp')
            ->make(BroadcastManager::class)->connection();
        $this->expectException(BroadcastException::class);
        $this->expectExceptionMessage('Sidecast: cannot connect');
        $driver->broadcast(['news'], 'e');
    }

    public function testTheManagerMayBeThereBeforeTheProvider(): void
    {
        $application = $this->application('sidecast+null:', early: true);
        self::assertInstanceOf(SidecastBroadcaster::class, $application->make(BroadcastManager::class)->connection());
    }

    public function testThePublisherOfTheProviderReportsAndLogs(): void
    {
        $application = $this->application('sidecast+ipc:///nowhere/p.sock?transport=zmtp');
        $logger = new RecordingLogger();
        $application->instance(\Psr\Log\LoggerInterface::class, $logger);
        $publisher = $application->make(PublisherInterface::class);
        self::assertSame($publisher, $application->make(PublisherInterface::class));
        self::assertInstanceOf(PublishResult::class, $result = $publisher->publish('c', 'x'));
        self::assertFalse($result->ok);
        self::assertCount(1, $logger->lines);
    }

    /** @param ?BroadcastManager $manager in place of Laravel's own */
    private function application(string $dsn, ?BroadcastManager $manager = null, bool $early = false): Container
    {
        $application = new Container();
        $application->instance('config', new Repository(['broadcasting' => [
            'default' => 'sidecast',
            'connections' => ['sidecast' => ['driver' => 'sidecast', 'dsn' => $dsn]],
        ]]));
        $application->singleton(
            BroadcastManager::class,
            static fn (Container $container): BroadcastManager => $manager ?? new BroadcastManager($container),
        );
        if ($early) {
            $application->make(BroadcastManager::class);
        }
        // @phpstan-ignore-next-line the container is all that the provider uses of the application
        $provider = new SidecastServiceProvider($application);
        $provider->register();
        $provider->boot();

        return $application;
    }
}
