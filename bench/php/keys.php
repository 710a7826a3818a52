<?php

/* keys.php HS256|RS256|ES256: prints a JWK Set with one new key that can sign. */

declare(strict_types=1);

$base64 = static fn (string $bytes): string => rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
$algorithm = $argv[1] ?? '';
$options = [
    'RS256' => ['private_key_bits' => 2048, 'private_key_type' => OPENSSL_KEYTYPE_RSA],
    'ES256' => ['curve_name' => 'prime256v1', 'private_key_type' => OPENSSL_KEYTYPE_EC],
];
if ($algorithm === 'HS256') {
    $key = ['kty' => 'oct', 'k' => $base64(random_bytes(32))];
} else {
    $details = openssl_pkey_get_details(openssl_pkey_new($options[$algorithm]));
    [$kind, $type, $names] = $algorithm === 'RS256'
        ? ['rsa', 'RSA', ['n' => 'n', 'e' => 'e', 'd' => 'd', 'p' => 'p', 'q' => 'q', 'dmp1' => 'dp', 'dmq1' => 'dq', 'iqmp' => 'qi']]
        : ['ec', 'EC', ['x' => 'x', 'y' => 'y', 'd' => 'd']];
    $key = ['kty' => $type] + ($kind === 'ec' ? ['crv' => 'P-256'] : []);
    foreach ($names as $name => $member) {
        $number = $details[$kind][$name];
        $key[$member] = $base64($kind === 'ec' ? str_pad($number, 32, "\0", STR_PAD_LEFT) : $number);
    }
}
echo json_encode(['keys' => [$key + ['alg' => $algorithm]]]), "\n";
