<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;

/**
 * The HTTP clients over TLS, each in a process that trusts the test's own certificate, or does not.
 *
 * @requires extension openssl
 */
final class TlsTest extends TestCase
{
    use Scratch;

    private const CALL = 'require $argv[1] . "/src/load.php"; try {
        echo implode(" ", (new $argv[2])->post($argv[3], [], str_repeat("x", 3000000), 5.0));
    } catch (Sidecast\Exception\TransportException $error) { echo $error->getMessage(); }';

    /** @var resource|null */
    private $server = null;

    protected function tearDown(): void
    {
        if ($this->server !== null) {
            \proc_terminate($this->server, 9);
            \proc_close($this->server);
        }
    }

    /** @dataProvider clients */
    public function testALargeBodyGoesToAServerWhoseCertificateIsTrusted(string $client): void
    {
        self::assertSame('202 {}', $this->post($client, true, '127.0.0.1'));
    }

    /** @dataProvider clients */
    public function testAServerThatNobodyKnowsGetsNothing(string $client): void
    {
        self::assertStringContainsString('cannot connect', $this->post($client, false, '127.0.0.1'));
    }

    /** @dataProvider clients */
    public function testACertificateForAnotherNameIsNotTaken(string $client): void
    {
        self::assertStringContainsString('cannot connect', $this->post($client, true, 'localhost'));
    }

    /** @return iterable<string, array{class-string}> */
    public static function clients(): iterable
    {
        yield 'ext-curl' => [\Sidecast\Transport\CurlClient::class];
        yield 'streams' => [\Sidecast\Transport\StreamClient::class];
    }

    private function post(string $client, bool $trusted, string $host): string
    {
        if (\str_contains($client, 'Curl') && !\extension_loaded('curl')) {
            self::markTestSkipped('curl is not loaded');
        }
        $port = $this->serve();
        $trust = \str_contains($client, 'Curl') ? 'curl.cainfo' : 'openssl.cafile';
        $php = new PlainPhp($trusted ? "-d$trust=$this->scratch/cert.pem" : '-q');
        $php->run(self::CALL, [$client, "https://$host:$port/publish"]);

        return $php->output . $php->errors;
    }

    /** Starts a server that takes one request of 3,000,000 bytes; returns its port. */
    private function serve(): int
    {
        $configuration = "[req]\ndistinguished_name=n\n[n]\n[x]\nsubjectAltName=IP:127.0.0.1\n";
        \file_put_contents("$this->scratch/openssl.cnf", $configuration);
        $options = ['config' => "$this->scratch/openssl.cnf", 'x509_extensions' => 'x', 'digest_alg' => 'sha256'];
        $key = \openssl_pkey_new(['curve_name' => 'prime256v1', 'private_key_type' => \OPENSSL_KEYTYPE_EC]);
        self::assertNotFalse($key);
        $request = \openssl_csr_new(['commonName' => 'test'], $key, $options);
        self::assertNotFalse($request);
        $certificate = \openssl_csr_sign($request, null, $key, 1, $options);
        self::assertNotFalse($certificate);
        \openssl_x509_export_to_file($certificate, "$this->scratch/cert.pem");
        \openssl_pkey_export_to_file($key, "$this->scratch/key.pem");
        $code = '$context = stream_context_create(["ssl" => ["local_cert" => $argv[1], "local_pk" => $argv[2]]]);
            $flags = STREAM_SERVER_BIND | STREAM_SERVER_LISTEN;
            $server = stream_socket_server("tls://127.0.0.1:0", $number, $text, $flags, $context);
            echo stream_socket_get_name($server, false), "\n";
            $client = @stream_socket_accept($server, 10);
            if ($client) {
                for ($bytes = ""; strlen($bytes) < 3000000; $bytes .= $part) {
                    if (($part = (string) fread($client, 65536)) === "" && feof($client)) { exit; }
                }
                fwrite($client, "HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}");
            }';
        $process = \proc_open(
            [\PHP_BINARY, '-r', $code, '--', "$this->scratch/cert.pem", "$this->scratch/key.pem"],
            [['file', '/dev/null', 'r'], ['pipe', 'w'], ['file', '/dev/null', 'w']],
            $pipes,
        );
        self::assertIsResource($process);
        $this->server = $process;

        return (int) \substr((string) \strrchr((string) \fgets($pipes[1]), ':'), 1);
    }
}
