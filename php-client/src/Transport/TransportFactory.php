<?php

declare(strict_types=1);

namespace Sidecast\Transport;

use Sidecast\Dsn;
use Sidecast\Endpoint;
use Sidecast\Exception\InvalidConfiguration;

/** Makes the transport that a DSN names; unless it names one, by what is there: ext-zmq, else pure PHP. */
final class TransportFactory
{
    /**
     * Nothing connects before the first message.
     *
     * @param string|Dsn $dsn see {@see Dsn}; a bare endpoint (`ipc:///path`, `tcp://host:port`) will do
     *
     * @throws InvalidConfiguration if it is malformed, or asks for ext-zmq where that is not loaded
     */
    public static function create(string|Dsn $dsn = Endpoint::DEFAULT): TransportInterface
    {
        $dsn = \is_string($dsn) ? Dsn::parse($dsn) : $dsn;
        if ($dsn->endpoint === null) {
            return new NullTransport();
        }
        $zmq = $dsn->transport === Dsn::ZMQ || ($dsn->transport === Dsn::AUTO && ZmqTransport::isAvailable());

        return $zmq ? new ZmqTransport($dsn->endpoint, $dsn->queueLimit) : new ZmtpTransport($dsn->endpoint);
    }

    private function __construct()
    {
    }
}
