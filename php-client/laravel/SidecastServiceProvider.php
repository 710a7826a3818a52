<?php

declare(strict_types=1);

namespace Sidecast\Laravel;

use Illuminate\Broadcasting\BroadcastManager;
use Illuminate\Contracts\Container\Container;
use Illuminate\Support\ServiceProvider;
use Psr\Log\LoggerInterface;
use Sidecast\Endpoint;
use Sidecast\Publisher;
use Sidecast\PublisherInterface;

/**
 * Adds the broadcasting driver "sidecast", PublisherInterface for what publishes without an event, and
 * ListenController.
 *
 * Configured in config/broadcasting.php:
 *
 *     'sidecast' => ['driver' => 'sidecast', 'dsn' => env('SIDECAST_DSN'), 'listen' => [see ListenOptions]],
 */
final class SidecastServiceProvider extends ServiceProvider
{
    /**
     * Binds PublisherInterface, one for each process: it throws only if the DSN says so, and warns in Laravel's log.
     * And ListenController.
     */
    public function register(): void
    {
        $this->app->singleton(PublisherInterface::class, static function (Container $app): PublisherInterface {
            $dsn = $app->make('config')->get('broadcasting.connections.sidecast.dsn');
            $logger = $app->bound(LoggerInterface::class) ? $app->make(LoggerInterface::class) : null;

            return Publisher::connect($dsn ?? Endpoint::DEFAULT, $logger);
        });
        $this->app->singleton(ListenController::class, static function (Container $app): ListenController {
            $broadcaster = $app->make(BroadcastManager::class)->connection('sidecast');
            $options = (array) $app->make('config')->get('broadcasting.connections.sidecast.listen', []);

            return ListenOptions::controller($broadcaster, $options);
        });
    }

    /** Adds the driver when Laravel makes its broadcast manager, or now if it has. */
    public function boot(): void
    {
        $this->callAfterResolving(BroadcastManager::class, function (BroadcastManager $manager): void {
            // not static: Laravel 13 binds it to the manager. Its publisher is its own, for it must throw; Laravel
            // reports the exception, so it needs no logger.
            $manager->extend('sidecast', function (Container $app, array $config): SidecastBroadcaster {
                return new SidecastBroadcaster(Publisher::connect($config['dsn'] ?? Endpoint::DEFAULT, throws: true));
            });
        });
    }
}
