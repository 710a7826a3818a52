<?php

declare(strict_types=1);

/*
 * Loads this package where no autoloader does. An interface or an exception comes before those who use it.
 */

foreach (
    [
        'Exception/SidecastException',
        'Exception/HandoffFailed',
        'Exception/InvalidConfiguration',
        'Exception/InvalidGrant',
        'Exception/InvalidMessage',
        'Exception/PublishFailed',
        'Exception/TransportException',
        'PublishResult',
        'Name',
        'Message',
        'Grant',
        'Token/Signer',
        'Token/HmacSigner',
        'Token/OpensslSigner',
        'Token/Jwt',
        'Token',
        'Handoff',
        'Endpoint',
        'Dsn',
        'Transport/TransportInterface',
        'Transport/Zmtp',
        'Transport/BoundedStream',
        'Transport/ZmtpTransport',
        'Transport/ZmqTransport',
        'Transport/NullTransport',
        'Transport/Frames',
        'Transport/InMemoryTransport',
        'Transport/Trace',
        'Transport/TraceableTransport',
        'Transport/TransportFactory',
        'Batch',
        'PublisherInterface',
        'Publisher',
    ] as $sidecastFile
) {
    require_once __DIR__ . '/' . $sidecastFile . '.php';
}
