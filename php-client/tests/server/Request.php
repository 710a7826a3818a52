<?php

declare(strict_types=1);

namespace Sidecast\Tests\server;

use Sidecast\EndToEnd\FastCgiConnection;
use Sidecast\EndToEnd\Response;

/** A page that was asked for. */
final class Request
{
    public function __construct(private readonly FastCgiConnection $connection, private readonly Response $response)
    {
    }

    public function isAnswered(): bool
    {
        return $this->response->complete;
    }

    /**
     * Waits for the answer and ends the connection. php-fpm's worker waits for that end, so nobody else may hold it
     * open: not even a process that is started later, which would inherit it.
     */
    public function body(): string
    {
        $this->response->wait();
        $this->connection->close();

        return $this->response->body;
    }
}
