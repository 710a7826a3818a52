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
        'Confirmation',
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
        'Curve',
        'DsnOptions',
        'Dsn',
        'Transport/TransportInterface',
        'Transport/ConfirmingTransportInterface',
        'Transport/Replies',
        'Transport/Zmtp',
        'Transport/BoundedStream',
        'Transport/ZmtpConnection',
        'Transport/ZmtpRequester',
        'Transport/ZmtpTransport',
        'Transport/ZmqRequester',
        'Transport/ZmqTransport',
        'Transport/Bearer',
        'Transport/HttpClientInterface',
        'Transport/CurlClient',
        'Transport/StreamClient',
        'Transport/HttpAnswers',
        'Transport/HttpTransport',
        'Transport/NullTransport',
        'Transport/Frames',
        'Transport/InMemoryTransport',
        'Transport/Trace',
        'Transport/TraceableTransport',
        'Transport/TransportFactory',
        'Delivery',
        'Batch',
        'FailureLog',
        'PublisherInterface',
        'Publisher',
        'Page',
    ] as $sidecastFile
) {
    require_once __DIR__ . '/' . $sidecastFile . '.php';
}
