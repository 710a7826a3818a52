<?php

/*
 * Beside services.php, for development and tests: every send is noted. In config/services_dev.yaml:
 *
 *     imports:
 *         - { resource: '../vendor/sidecast/publisher/symfony/services_debug.php' }
 *
 * Type-hint Sidecast\Transport\TraceableTransport and ask it for traces(), in a data collector for example.
 */

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Sidecast\Transport\TraceableTransport;

return static function (ContainerConfigurator $container): void {
    $container->services()
        ->set('sidecast.transport.traceable', TraceableTransport::class)
        ->decorate('sidecast.transport')
        ->args([service('.inner')])
        ->tag('kernel.reset', ['method' => 'reset'])
        ->alias(TraceableTransport::class, 'sidecast.transport.traceable');
};
