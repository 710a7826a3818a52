<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

use PHPUnit\Framework\Assert;

/** Speaks raw FastCGI with the daemon, as a web server would or as none should. */
final class FastCgiConnection extends Connection
{
    /** @var list<array{type: int, id: int, content: string, padding: int}> every record that arrived */
    public array $records = [];
    /** @var array<int, Response> by request id */
    private array $responses = [];
    /** @var array<int, string> heads that have not arrived in full */
    private array $heads = [];
    private string $input = '';

    /** @param array<string, string> $params */
    public function request(array $params, int $id = 1, bool $keep = false, string $body = ''): Response
    {
        $response = $this->expectResponse($id);
        $this->send(FastCgi::request($id, $params, $keep, $body));
        return $response;
    }

    /** Listens to an event stream. */
    public function listen(string $query, array $params = [], int $id = 1): EventStream
    {
        return new EventStream($this, $this->request(FastCgi::params($query, $params), $id));
    }

    /** The answer to a request that the caller sends by itself. */
    public function expectResponse(int $id): Response
    {
        $this->heads[$id] = '';
        return $this->responses[$id] = new Response();
    }

    /**
     * Waits for a record of the given type and takes it, and those before it, off the list.
     *
     * @return array{type: int, id: int, content: string, padding: int}
     */
    public function waitForRecord(int $type): array
    {
        $index = null;
        Loop::until(function () use ($type, &$index): bool {
            $index = array_search($type, array_column($this->records, 'type'), true);
            return $index !== false || $this->closed;
        }, "a FastCGI record of type $type");
        Assert::assertNotFalse($index, "the connection closed without a record of type $type");
        return array_splice($this->records, 0, $index + 1)[$index];
    }

    /**
     * Waits for the end of the request and returns how it ended.
     *
     * @return array{app: int, protocol: int}
     */
    public function waitForEnd(): array
    {
        $record = $this->waitForRecord(FastCgi::END_REQUEST);
        return unpack('Napp/Cprotocol', $record['content']);
    }

    protected function received(string $bytes): void
    {
        $this->input .= $bytes;
        while (strlen($this->input) >= 8) {
            $header = unpack('Cversion/Ctype/nid/nlength/Cpadding', $this->input);
            $size = 8 + $header['length'] + $header['padding'];
            if (strlen($this->input) < $size) {
                return;
            }
            Assert::assertSame(1, $header['version'], 'FastCGI version');
            $content = substr($this->input, 8, $header['length']);
            $this->input = substr($this->input, $size);
            $this->take($header['type'], $header['id'], $content, $header['padding']);
        }
    }

    protected function ended(): void
    {
        foreach ($this->responses as $response) {
            $response->end(true);
        }
    }

    private function take(int $type, int $id, string $content, int $padding): void
    {
        $this->records[] = ['type' => $type, 'id' => $id, 'content' => $content, 'padding' => $padding];
        $response = $this->responses[$id] ?? null;
        if ($response === null) {
            return;
        }
        if ($type === FastCgi::STDOUT && $content !== '') {
            $this->output($response, $id, $content);
        } elseif ($type === FastCgi::END_REQUEST) {
            unset($this->responses[$id]);
            $response->end();
        }
    }

    private function output(Response $response, int $id, string $content): void
    {
        if ($response->status !== 0) {
            $response->add($content);
            return;
        }
        $this->heads[$id] .= $content;
        if (preg_match('/\A(.*?)\r?\n\r?\n/s', $this->heads[$id], $match) === 1) {
            $response->setHead($match[1]);
            $response->status = (int) ($response->header('Status') ?? 200);
            $body = substr($this->heads[$id], strlen($match[0]));
            if ($body !== '') {
                $response->add($body);
            }
        }
    }
}
