<?php

/*
 * Sidecast's services for a Symfony application, without a bundle. In config/services.yaml:
 *
 *     imports:
 *         - { resource: '../vendor/sidecast/publisher/symfony/services.php' }
 *
 * The environment variable SIDECAST_DSN says where to (see Sidecast\Dsn). Type-hint Sidecast\PublisherInterface.
 */

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Sidecast\Dsn;
use Sidecast\Endpoint;
use Sidecast\Publisher;
use Sidecast\PublisherInterface;
use Sidecast\Transport\TransportFactory;
use Sidecast\Transport\TransportInterface;

return static function (ContainerConfigurator $container): void {
    $container->parameters()->set('env(SIDECAST_DSN)', Endpoint::DEFAULT);
    $services = $container->services();
    $services->set('sidecast.dsn', Dsn::class)
        ->factory([Dsn::class, 'parse'])
        ->args([env('SIDECAST_DSN')]);
    $services->set('sidecast.transport', TransportInterface::class)
        ->factory([TransportFactory::class, 'create'])
        ->args([service('sidecast.dsn')]);
    $services->set('sidecast.publisher', Publisher::class)
        ->factory([Publisher::class, 'connect'])
        ->args([service('sidecast.dsn'), service('logger')->nullOnInvalid(), null, service('sidecast.transport')])
        ->tag('monolog.logger', ['channel' => 'sidecast']);
    $services->alias(PublisherInterface::class, 'sidecast.publisher');
};
