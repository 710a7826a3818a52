<?php

declare(strict_types=1);

namespace Sidecast\Tests\laravel;

use PHPUnit\Framework\TestCase;
use Sidecast\Laravel\SidecastBroadcaster;
use Sidecast\Publisher;
use Sidecast\Tests\RecordingTransport;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/** auth() asks the callbacks of routes/channels.php, as Laravel's own broadcasters do. */
final class AuthorizationTest extends TestCase
{
    private SidecastBroadcaster $broadcaster;

    public static function setUpBeforeClass(): void
    {
        BroadcasterTest::setUpBeforeClass();
    }

    protected function setUp(): void
    {
        $this->broadcaster = new SidecastBroadcaster(new Publisher(new RecordingTransport()));
        $this->broadcaster->channel(
            'orders.{id}',
            static fn (object $user, string $id): bool => $user->name === 'ann' && $id === '1',
        );
        $this->broadcaster->channel('room.{id}', static fn (object $user): array => ['name' => $user->name]);
    }

    public function testYesOfTheCallback(): void
    {
        $answer = $this->broadcaster->auth($this->request('private-orders.1', 'ann'));
        self::assertSame(['channel' => 'private-orders.1'], $answer);
    }

    public function testAPresenceChannelTellsWhoItIs(): void
    {
        $answer = $this->broadcaster->auth($this->request('presence-room.5', 'bob'));
        self::assertSame(['channel' => 'presence-room.5', 'user' => ['name' => 'bob']], $answer);
    }

    /** @dataProvider refused */
    public function testEverythingElseIsRefused(mixed $channel, ?string $user): void
    {
        $this->expectException(AccessDeniedHttpException::class);
        $this->broadcaster->auth($this->request($channel, $user));
    }

    /** @return iterable<string, array{mixed, ?string}> */
    public static function refused(): iterable
    {
        yield 'no of the callback' => ['private-orders.2', 'ann'];
        yield 'another user' => ['private-orders.1', 'bob'];
        yield 'nobody logged in' => ['private-orders.1', null];
        yield 'a channel without a callback' => ['private-secret', 'ann'];
        yield 'no channel' => [null, 'ann'];
        yield 'an empty channel' => ['', 'ann'];
        yield 'a channel that is no text' => [['private-orders.1'], 'ann'];
    }

    /** What a broadcaster uses of Laravel's request. */
    private function request(mixed $channel, ?string $name): object
    {
        return new class ($channel, $name) {
            public function __construct(public readonly mixed $channel_name, private readonly ?string $name)
            {
            }

            public function user(?string $guard = null): ?object
            {
                return $this->name === null ? null : (object) ['name' => $this->name];
            }
        };
    }
}
