<?php

declare(strict_types=1);

namespace Sidecast\Soak;

/** HTTP requests under way to nginx, each on a connection of its own; more than stream_select() can look at. Moves on when pump() is called. */
final class Transfers
{
    private readonly \CurlMultiHandle $multi;
    /** @var array<int, array{\CurlHandle, callable(\CurlHandle, int): void}> */
    private array $running = [];

    public function __construct(private readonly string $socket)
    {
        $this->multi = curl_multi_init();
    }

    /**
     * @param array<int, mixed>               $options
     * @param callable(\CurlHandle, int): void $ended gets the error number of curl
     */
    public function begin(string $uri, array $options, callable $ended): \CurlHandle
    {
        $handle = curl_init("http://localhost$uri");
        curl_setopt_array($handle, $options + [CURLOPT_UNIX_SOCKET_PATH => $this->socket, CURLOPT_FORBID_REUSE => true]);
        curl_multi_add_handle($this->multi, $handle);
        $this->running[spl_object_id($handle)] = [$handle, $ended];
        return $handle;
    }

    /** Breaks off, as a client does whose power goes. */
    public function cancel(\CurlHandle $handle): void
    {
        curl_multi_remove_handle($this->multi, $handle);
        unset($this->running[spl_object_id($handle)]);
    }

    public function pump(): void
    {
        curl_multi_exec($this->multi, $active);
        while (($done = curl_multi_info_read($this->multi)) !== false) {
            [$handle, $ended] = $this->running[spl_object_id($done['handle'])];
            $this->cancel($handle);
            $ended($handle, $done['result']);
        }
    }
}
