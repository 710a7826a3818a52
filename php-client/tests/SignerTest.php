<?php

declare(strict_types=1);

namespace Sidecast\Tests;

use PHPUnit\Framework\TestCase;
use Sidecast\Exception\InvalidConfiguration;
use Sidecast\Token\HmacSigner;
use Sidecast\Token\OpensslSigner;

final class SignerTest extends TestCase
{
    public function testHs256IsThatOfTheStandard(): void
    {
        // RFC 7515, A.1
        $key = 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow';
        $input = 'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.'
            . 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ';
        $signer = new HmacSigner((string) \base64_decode(\strtr($key, '-_', '+/')));
        $signature = \strtr(\rtrim(\base64_encode($signer->sign($input)), '='), '+/', '-_');
        self::assertSame('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', $signature);
        self::assertSame('HS256', $signer->alg());
    }

    public function testAShortSecretIsRefusedUnlessItIsAskedFor(): void
    {
        $short = new HmacSigner(\str_repeat('s', 31), short: true);
        self::assertSame(32, \strlen($short->sign('x')));
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage('at least 32 bytes, this one has 31');
        new HmacSigner(\str_repeat('s', 31));
    }

    public function testAnEmptySecretIsRefusedAlways(): void
    {
        $this->expectException(InvalidConfiguration::class);
        new HmacSigner('', short: true);
    }

    public function testADumpDoesNotTellTheSecret(): void
    {
        $signer = new HmacSigner(\str_repeat('geheim', 6), 'key-1');
        self::assertStringNotContainsString('geheim', \print_r($signer, true));
        self::assertStringContainsString('key-1', \print_r($signer, true));
    }

    /** @requires extension openssl */
    public function testRs256IsVerifiedByThePublicKey(): void
    {
        $key = self::key(['private_key_bits' => 2048, 'private_key_type' => \OPENSSL_KEYTYPE_RSA]);
        $signer = new OpensslSigner(self::pem($key), 'rsa-1');
        self::assertSame(['RS256', 'rsa-1'], [$signer->alg(), $signer->kid()]);
        self::assertSame(1, \openssl_verify('x', $signer->sign('x'), self::public($key), \OPENSSL_ALGO_SHA256));
    }

    /** @requires extension openssl */
    public function testEs256IsTwoNumbersOf32BytesAlways(): void
    {
        $key = self::key(['curve_name' => 'prime256v1', 'private_key_type' => \OPENSSL_KEYTYPE_EC]);
        $signer = new OpensslSigner(self::pem($key));
        self::assertSame(['ES256', null], [$signer->alg(), $signer->kid()]);
        $short = 0;
        for ($i = 0; $i < 2000; $i++) { // one in 128 has a number with a leading zero byte
            $signature = $signer->sign("message $i");
            self::assertSame(64, \strlen($signature));
            $short += (int) ($signature[0] === "\0" || $signature[32] === "\0");
            if ($i < 50 || $signature[0] === "\0" || $signature[32] === "\0") {
                $der = self::der($signature);
                self::assertSame(1, \openssl_verify("message $i", $der, self::public($key), \OPENSSL_ALGO_SHA256));
            }
        }
        self::assertGreaterThan(0, $short, 'the rare case was among them');
    }

    /** @requires extension openssl */
    public function testAnEncryptedKeyNeedsItsPassphrase(): void
    {
        $key = self::key(['curve_name' => 'prime256v1', 'private_key_type' => \OPENSSL_KEYTYPE_EC]);
        \openssl_pkey_export($key, $pem, 'passphrase');
        self::assertSame('ES256', (new OpensslSigner($pem, null, 'passphrase'))->alg());
        $this->expectException(InvalidConfiguration::class);
        new OpensslSigner($pem);
    }

    /**
     * @param array<string, mixed> $options
     *
     * @requires     extension openssl
     * @dataProvider unfit
     */
    public function testOtherKeysAreRefused(array $options): void
    {
        $pem = self::pem(self::key($options));
        $this->expectException(InvalidConfiguration::class);
        $this->expectExceptionMessage('RSA of at least 2048 bits, or EC P-256');
        new OpensslSigner($pem);
    }

    /** @return iterable<string, array{array<string, mixed>}> */
    public static function unfit(): iterable
    {
        yield 'RSA, 1024 bits' => [['private_key_bits' => 1024, 'private_key_type' => \OPENSSL_KEYTYPE_RSA]];
        yield 'another curve' => [['curve_name' => 'secp384r1', 'private_key_type' => \OPENSSL_KEYTYPE_EC]];
    }

    public function testWithoutTheExtensionItSaysSo(): void
    {
        $php = new PlainPhp('-n');
        $php->run('require $argv[1] . "/src/load.php"; if (extension_loaded("openssl")) { exit("built in"); } try {
            new Sidecast\Token\OpensslSigner("x");
        } catch (Sidecast\Exception\InvalidConfiguration $error) { echo $error->getMessage(); }');
        self::assertContains($php->output, ['built in', 'RS256 and ES256 need ext-openssl, which is not loaded']);
    }

    /** @param array<string, mixed> $options */
    private static function key(array $options): \OpenSSLAsymmetricKey
    {
        $key = \openssl_pkey_new($options);
        self::assertNotFalse($key);

        return $key;
    }

    private static function pem(\OpenSSLAsymmetricKey $key): string
    {
        \openssl_pkey_export($key, $pem);

        return $pem;
    }

    private static function public(\OpenSSLAsymmetricKey $key): string
    {
        return (\openssl_pkey_get_details($key) ?: [])['key'];
    }

    /** The SEQUENCE of two INTEGERs that OpenSSL verifies. */
    private static function der(string $raw): string
    {
        $body = '';
        foreach (\str_split($raw, 32) as $number) {
            $number = \ltrim($number, "\0");
            $number = (\ord($number[0]) & 0x80) !== 0 ? "\0$number" : $number;
            $body .= "\x02" . \chr(\strlen($number)) . $number;
        }

        return "\x30" . \chr(\strlen($body)) . $body;
    }
}
