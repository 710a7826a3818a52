<?php

declare(strict_types=1);

namespace Sidecast\Tests\symfony;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Handoff;
use Sidecast\PublisherInterface;
use Sidecast\Tests\Framework;
use Sidecast\Tests\RecordingLogger;
use Sidecast\Tests\Scratch;
use Sidecast\Token;
use Sidecast\Token\Signer;
use Sidecast\Transport\InMemoryTransport;
use Sidecast\Transport\TraceableTransport;
use Symfony\Component\Config\FileLocator;
use Symfony\Component\Config\Loader\LoaderResolver;
use Symfony\Component\DependencyInjection\Container;
use Symfony\Component\DependencyInjection\ContainerBuilder;
use Symfony\Component\DependencyInjection\Dumper\PhpDumper;
use Symfony\Component\DependencyInjection\Loader\PhpFileLoader;
use Symfony\Component\DependencyInjection\Loader\YamlFileLoader;
use Symfony\Component\Yaml\Yaml;

/** With Symfony's own classes: those of vendor/ or of Debian's php-symfony-dependency-injection, -config and -yaml. */
final class ServicesTest extends TestCase
{
    use Scratch;

    public static function setUpBeforeClass(): void
    {
        $missing = Framework::missing([
            ContainerBuilder::class => 'Symfony/Component/DependencyInjection',
            FileLocator::class => 'Symfony/Component/Config',
            Yaml::class => 'Symfony/Component/Yaml',
        ]);
        if ($missing !== null) {
            self::markTestSkipped("$missing is not installed (Debian: php-symfony-{dependency-injection,config,yaml})");
        }
    }

    protected function tearDown(): void
    {
        unset($_ENV['SIDECAST_DSN'], $_ENV['SIDECAST_TOKEN_SECRET']);
    }

    public function testAnApplicationImportsThemAndGetsAPublisher(): void
    {
        $_ENV['SIDECAST_DSN'] = 'sidecast+null:';
        $publisher = $this->container(['services.php'])->get('page');
        self::assertInstanceOf(PublisherInterface::class, $publisher);
        self::assertTrue($publisher->publish('c', 'x')->ok);
    }

    public function testTheDsnAndTheLoggerAreTheApplications(): void
    {
        $_ENV['SIDECAST_DSN'] = 'sidecast+ipc:///nowhere/p.sock?transport=zmtp';
        $logging = ['logger' => ['class' => RecordingLogger::class, 'public' => true]];
        $container = $this->container(['services.php'], $logging);
        $publisher = $container->get('page');
        self::assertInstanceOf(PublisherInterface::class, $publisher);
        self::assertStringContainsString('cannot connect', (string) $publisher->publish('c', 'x')->reason());
        $logger = $container->get('logger');
        self::assertInstanceOf(RecordingLogger::class, $logger);
        self::assertCount(1, $logger->lines);
    }

    public function testWithoutTheVariableTheDefaultEndpointIsUsed(): void
    {
        $publisher = $this->container(['services.php'])->get('page');
        self::assertInstanceOf(PublisherInterface::class, $publisher, 'made, though nothing connects');
    }

    public function testAMalformedDsnIsNamedWhenThePublisherIsMade(): void
    {
        $_ENV['SIDECAST_DSN'] = 'sidecast+tcp://127.0.0.1:5555?timeout=50';
        $container = $this->container(['services.php']);
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage('timeout');
        $container->get('page');
    }

    public function testInDevelopmentEverySendIsNoted(): void
    {
        $_ENV['SIDECAST_DSN'] = 'sidecast+null:';
        $container = $this->container(['services.php', 'services_debug.php']);
        $publisher = $container->get('page');
        $traceable = $container->get('profiler');
        self::assertInstanceOf(PublisherInterface::class, $publisher);
        self::assertInstanceOf(TraceableTransport::class, $traceable);
        $publisher->publish('news', 'x');
        self::assertSame(['news'], $traceable->traces()[0]->channels);
        $traceable->reset();
        self::assertSame([], $traceable->traces());
    }

    public function testAnApplicationsTestsPublishIntoMemory(): void
    {
        $memory = ['sidecast.transport' => ['class' => InMemoryTransport::class, 'public' => true]];
        $container = $this->container(['services.php'], $memory);
        $publisher = $container->get('page');
        $transport = $container->get('sidecast.transport');
        self::assertInstanceOf(PublisherInterface::class, $publisher);
        self::assertInstanceOf(InMemoryTransport::class, $transport);
        $publisher->publish('news', 'x');
        self::assertSame(['x'], $transport->data('news'));
    }

    public function testTokensAndHandoffsBeginAsConfigured(): void
    {
        $_ENV['SIDECAST_TOKEN_SECRET'] = \str_repeat('s', 32);
        $container = $this->container(['services.php'], [
            'a.token' => ['alias' => Token::class, 'public' => true],
            'a.handoff' => ['alias' => Handoff::class, 'public' => true],
            'a.signer' => ['alias' => Signer::class, 'public' => true],
        ]);
        [$token, $handoff, $signer] = \array_map($container->get(...), ['a.token', 'a.handoff', 'a.signer']);
        self::assertInstanceOf(Token::class, $token);
        self::assertInstanceOf(Handoff::class, $handoff);
        self::assertInstanceOf(Signer::class, $signer);
        self::assertSame(
            ['X-Accel-Redirect' => '@sidecast', 'X-Sidecast-Channels' => 'a'],
            $handoff->channels(['a'])->headers(),
        );
        $claims = \explode('.', $token->channels(['a'])->sign($signer, 1000))[1];
        self::assertSame('{"channels":["a"],"iat":1000,"exp":4600}', \base64_decode(\strtr($claims, '-_', '+/')));
        self::assertSame($token, $container->get('a.token'), 'what a page adds stays with that page');
    }

    public function testWithoutASecretOnlyTokensCannotBeSigned(): void
    {
        $container = $this->container(['services.php'], ['a.signer' => ['alias' => Signer::class, 'public' => true]]);
        self::assertInstanceOf(PublisherInterface::class, $container->get('page'));
        $this->expectException(InvalidConfiguration::class);
        $container->get('a.signer');
    }

    public function testAWorkerThatServesManyRequestsForgetsBetweenThem(): void
    {
        $container = $this->builder(['services.php', 'services_debug.php']);
        self::assertSame(
            ['sidecast.transport.traceable' => [['method' => 'reset']]],
            $container->findTaggedServiceIds('kernel.reset'),
        );
    }

    /**
     * Compiled and dumped, as Symfony's kernel does it.
     *
     * @param list<string>                        $files
     * @param array<string, array<string, mixed>> $services
     */
    private function container(array $files, array $services = []): Container
    {
        $builder = $this->builder($files, $services);
        $builder->compile();
        $class = 'Container' . \bin2hex(\random_bytes(6));
        $code = (new PhpDumper($builder))->dump(['class' => $class]);
        self::assertIsString($code);
        \file_put_contents("$this->scratch/container.php", $code);
        require "$this->scratch/container.php";
        $container = new $class();
        self::assertInstanceOf(Container::class, $container);

        return $container;
    }

    /**
     * An application configured in YAML that imports the files.
     *
     * @param list<string>                        $files
     * @param array<string, array<string, mixed>> $services its own
     */
    private function builder(array $files, array $services = []): ContainerBuilder
    {
        $directory = \dirname(__DIR__, 2) . '/symfony';
        $services['page'] = ['alias' => PublisherInterface::class, 'public' => true];
        if (\in_array('services_debug.php', $files, true)) {
            $services['profiler'] = ['alias' => TraceableTransport::class, 'public' => true];
        }
        \file_put_contents("$this->scratch/services.yaml", Yaml::dump([
            'imports' => \array_map(static fn (string $file): array => ['resource' => "$directory/$file"], $files),
            'services' => $services,
        ]));
        $container = new ContainerBuilder();
        $locator = new FileLocator($this->scratch);
        $loader = new YamlFileLoader($container, $locator);
        $loader->setResolver(new LoaderResolver([new PhpFileLoader($container, $locator), $loader]));
        $loader->load('services.yaml');

        return $container;
    }
}
