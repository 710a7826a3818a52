<?php

declare(strict_types=1);

namespace Sidecast\Tests\laravel;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Config\Repository;
use Illuminate\Container\Container;
use Illuminate\Http\Request;
use Illuminate\Http\Response;
use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Laravel\ListenController;
use Sidecast\Laravel\SidecastServiceProvider;
use Sidecast\Tests\Framework;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;
use Symfony\Component\HttpKernel\Exception\BadRequestHttpException;

/** The route that listens, with Laravel's own requests and the callbacks of routes/channels.php. */
final class ListenTest extends TestCase
{
    private const SECRET = '0123456789abcdef0123456789abcdef';

    public static function setUpBeforeClass(): void
    {
        BroadcasterTest::setUpBeforeClass();
        if (Framework::missing([Request::class => 'Illuminate/Http']) !== null) {
            self::markTestSkipped('Illuminate\Http is not installed (Debian: php-illuminate-http)');
        }
    }

    public function testAnAllowedChannelIsHandedOver(): void
    {
        $response = $this->listen('channel=private-orders.1&client=tab-7');
        self::assertSame(200, $response->getStatusCode());
        self::assertSame('', $response->getContent());
        self::assertSame('@sidecast', $response->headers->get('X-Accel-Redirect'));
        self::assertSame('private-orders.1', $response->headers->get('X-Sidecast-Channels'));
        self::assertSame('tab-7', $response->headers->get('X-Sidecast-Client'));
        self::assertEqualsWithDelta(\time() + 3600, (int) $response->headers->get('X-Sidecast-Expires'), 5);
    }

    public function testSeveralChannelsAsEventSourceAndAsPhpWriteThem(): void
    {
        foreach (['channel', 'channel[]', 'channel%5B%5D'] as $name) {
            $response = $this->listen("$name=private-orders.1&$name=presence-room.5&$name=news&last=5", [
                'public' => ['news', 'prices.*'],
            ]);
            self::assertSame(
                'private-orders.1,presence-room.5,news',
                $response->headers->get('X-Sidecast-Channels'),
            );
        }
    }

    /** @dataProvider refused */
    public function testOneThatIsRefusedRefusesAll(string $query, ?string $user = 'ann'): void
    {
        $this->expectException(AccessDeniedHttpException::class);
        $this->listen($query, ['public' => ['news']], $user);
    }

    /** @return iterable<string, array{0: string, 1?: ?string}> */
    public static function refused(): iterable
    {
        yield 'no of the callback' => ['channel=private-orders.2'];
        yield 'the second one' => ['channel=private-orders.1&channel=private-orders.2'];
        yield 'nobody logged in' => ['channel=private-orders.1', null];
        yield 'no callback' => ['channel=private-secret'];
        yield 'a channel that is none of Laravel' => ['channel=user/7'];
        yield 'a public one beside an unknown one' => ['channel=news&channel=others'];
        yield 'a pattern that a callback has said yes to' => ['channel=private-any.*'];
        yield 'a comma that a callback has said yes to' => ['channel=private-any.1%2Cprivate-orders.2'];
        yield 'a client that is none' => ['channel=private-orders.1&client=a%0Ab'];
    }

    /** @dataProvider senseless */
    public function testARequestForNothingIsABadOne(string $query): void
    {
        $this->expectException(BadRequestHttpException::class);
        $this->listen($query);
    }

    /** @return iterable<string, array{string}> */
    public static function senseless(): iterable
    {
        yield 'nothing' => [''];
        yield 'other parameters' => ['last=5&channels=private-orders.1'];
        yield 'more than the server takes' => [
            \implode('&', \array_map(static fn (int $i): string => "channel=$i", \range(0, 100))),
        ];
    }

    public function testATokenAsJson(): void
    {
        $response = $this->listen('channel=private-orders.1&client=tab-7', [
            'mode' => 'token', 'secret' => self::SECRET, 'ttl' => 60, 'issuer' => 'shop', 'audience' => 'sidecast',
        ]);
        self::assertNull($response->headers->get('X-Accel-Redirect'));
        self::assertSame('application/json', $response->headers->get('Content-Type'));
        $answer = \json_decode((string) $response->getContent(), true);
        self::assertSame(['private-orders.1'], $answer['channels']);
        $claims = $this->claims($answer['token']);
        self::assertSame($answer['expires'], $claims['exp']);
        self::assertSame(60, $claims['exp'] - $claims['iat']);
        unset($claims['exp'], $claims['iat']);
        self::assertEquals(
            ['channels' => ['private-orders.1'], 'sub' => 'tab-7', 'iss' => 'shop', 'aud' => 'sidecast'],
            $claims,
        );
    }

    public function testATokenAsACookie(): void
    {
        $response = $this->listen('channel=private-orders.1', [
            'mode' => 'cookie', 'secret' => self::SECRET, 'path' => '/events', 'secure' => false,
        ]);
        [$cookie] = $response->headers->getCookies();
        self::assertInstanceOf(Cookie::class, $cookie);
        self::assertSame(['sidecast_token', '/events'], [$cookie->getName(), $cookie->getPath()]);
        self::assertSame([true, false, 'lax'], [$cookie->isHttpOnly(), $cookie->isSecure(), $cookie->getSameSite()]);
        self::assertSame(['private-orders.1'], $this->claims((string) $cookie->getValue())['channels']);
        $answer = \json_decode((string) $response->getContent(), true);
        self::assertArrayNotHasKey('token', $answer, 'no script shall see it');
    }

    public function testATokenThatNoBrowserWouldKeepIsNoCookie(): void
    {
        $name = \str_repeat('x', 60);
        $query = \implode('&', \array_map(static fn (int $i): string => "channel=$name.$i", \range(1, 70)));
        $options = ['secret' => self::SECRET, 'public' => ["$name.*"]];
        self::assertSame(200, $this->listen($query, $options + ['mode' => 'token'])->getStatusCode());
        $this->expectException(AccessDeniedHttpException::class);
        $this->listen($query, $options + ['mode' => 'cookie']);
    }

    public function testTheLocationAndTheEndOfAHandoffAreConfigured(): void
    {
        $response = $this->listen('channel=private-orders.1', ['location' => '@live', 'ttl' => null]);
        self::assertSame('@live', $response->headers->get('X-Accel-Redirect'));
        self::assertNull($response->headers->get('X-Sidecast-Expires'));
        self::assertNull($response->headers->get('X-Sidecast-Client'));
    }

    /**
     * @param array<string, mixed> $options
     *
     * @dataProvider misconfigured
     */
    public function testABadConfigurationIsNamed(array $options, string $why): void
    {
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage($why);
        $this->listen('channel=private-orders.1', $options);
    }

    /** @return iterable<string, array{array<string, mixed>, string}> */
    public static function misconfigured(): iterable
    {
        yield 'an unknown option' => [['locaton' => '@live'], 'unknown option "locaton"'];
        yield 'an unknown mode' => [['mode' => 'header'], 'handoff, token or cookie'];
        yield 'tokens without a key' => [['mode' => 'token'], 'at least 32 bytes'];
    }

    /** @param array<string, mixed> $options of `listen` in config/broadcasting.php */
    private function listen(string $query, array $options = [], ?string $user = 'ann'): Response
    {
        $application = $this->application($options);
        $broadcaster = $application->make(BroadcastManager::class)->connection();
        $broadcaster->channel('orders.{id}', static fn (object $user, string $id): bool => $id === '1');
        $broadcaster->channel('room.{id}', static fn (object $user): array => ['name' => $user->name]);
        $broadcaster->channel('any.{id}', static fn (): bool => true);
        $request = Request::create("/listen?$query");
        $request->server->set('QUERY_STRING', $query); // as the browser wrote it: Symfony puts it in order
        $request->setUserResolver(static fn (): ?object => $user === null ? null : (object) ['name' => $user]);

        return $application->make(ListenController::class)($request);
    }

    /** @param array<string, mixed> $options */
    private function application(array $options): Container
    {
        $application = new Container();
        $application->instance('config', new Repository(['broadcasting' => [
            'default' => 'sidecast',
            'connections' => ['sidecast' => ['driver' => 'sidecast', 'dsn' => 'sidecast+null:', 'listen' => $options]],
        ]]));
        $application->singleton(
            BroadcastManager::class,
            static fn (Container $container): BroadcastManager => new BroadcastManager($container),
        );
        // @phpstan-ignore-next-line the container is all that the provider uses of the application
        $provider = new SidecastServiceProvider($application);
        $provider->register();
        $provider->boot();

        return $application;
    }

    /** @return array<string, mixed> */
    private function claims(string $jwt): array
    {
        [$header, $claims, $signature] = \explode('.', $jwt);
        $good = \hash_hmac('sha256', "$header.$claims", self::SECRET, true);
        self::assertSame(\rtrim(\strtr(\base64_encode($good), '+/', '-_'), '='), $signature);

        return \json_decode((string) \base64_decode(\strtr($claims, '-_', '+/')), true);
    }
}
