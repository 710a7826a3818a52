<?php

/*
 * Sidecast's services for a Symfony application, without a bundle. In config/services.yaml:
 *
 *     imports:
 *         - { resource: '../vendor/sidecast/publisher/symfony/services.php' }
 *
 * The environment variable SIDECAST_DSN says where to (see Sidecast\Dsn). Type-hint Sidecast\PublisherInterface.
 *
 * Sidecast\Token and Sidecast\Handoff are beginnings, to which a controller adds channels; Sidecast\Token\Signer signs
 * with the secret in SIDECAST_TOKEN_SECRET.
 */

declare(strict_types=1);

namespace Symfony\Component\DependencyInjection\Loader\Configurator;

use Sidecast\Dsn;
use Sidecast\Endpoint;
use Sidecast\Handoff;
use Sidecast\Publisher;
use Sidecast\PublisherInterface;
use Sidecast\Token;
use Sidecast\Token\HmacSigner;
use Sidecast\Token\Signer;
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

    $container->parameters()->set('env(SIDECAST_TOKEN_SECRET)', '');
    $container->parameters()->set('sidecast.token_ttl', 3600);
    $container->parameters()->set('sidecast.handoff_location', Handoff::LOCATION);
    $services->set('sidecast.signer', HmacSigner::class)->args([env('SIDECAST_TOKEN_SECRET')]);
    $services->alias(Signer::class, 'sidecast.signer');
    $services->set(Token::class)
        ->factory([Token::class, 'make'])
        ->call('ttl', [param('sidecast.token_ttl')], true);
    $services->set(Handoff::class)
        ->factory([Handoff::class, 'make'])
        ->call('location', [param('sidecast.handoff_location')], true);
};
