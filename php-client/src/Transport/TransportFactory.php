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
     * @throws InvalidConfiguration if it is malformed, or asks for ext-zmq or CURVE where that is not there
     */
    public static function create(string|Dsn $dsn = Endpoint::DEFAULT): ConfirmingTransportInterface
    {
        $dsn = \is_string($dsn) ? Dsn::parse($dsn) : $dsn;
        if ($dsn->url !== null) {
            return new HttpTransport($dsn->url, $dsn->bearer);
        }
        if ($dsn->endpoint === null) {
            return new NullTransport();
        }
        if ($dsn->transport === Dsn::ZMQ || ($dsn->transport === Dsn::AUTO && ZmqTransport::isAvailable())) {
            return new ZmqTransport($dsn->endpoint, $dsn->queueLimit, $dsn->confirm, $dsn->curve);
        }
        if ($dsn->curve !== null) {
            throw new InvalidConfiguration('CURVE (server_key) needs ext-zmq: pure PHP cannot encrypt');
        }

        return new ZmtpTransport($dsn->endpoint, $dsn->confirm);
    }

    private function __construct()
    {
    }
}
