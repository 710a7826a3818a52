<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/** FastCGI 1.0 records, written and named as in the specification. */
final class FastCgi
{
    public const BEGIN_REQUEST = 1;
    public const ABORT_REQUEST = 2;
    public const END_REQUEST = 3;
    public const PARAMS = 4;
    public const STDIN = 5;
    public const STDOUT = 6;
    public const STDERR = 7;
    public const DATA = 8;
    public const GET_VALUES = 9;
    public const GET_VALUES_RESULT = 10;
    public const UNKNOWN_TYPE = 11;

    public const RESPONDER = 1;
    public const AUTHORIZER = 2;

    public const REQUEST_COMPLETE = 0;
    public const CANT_MPX_CONN = 1;
    public const UNKNOWN_ROLE = 3;

    public static function record(int $type, int $id, string $content, int $padding = 0): string
    {
        return pack('CCnnCC', 1, $type, $id, strlen($content), $padding, 0) . $content . str_repeat("\0", $padding);
    }

    public static function begin(int $id, bool $keep = false, int $role = self::RESPONDER): string
    {
        return self::record(self::BEGIN_REQUEST, $id, pack('nCx5', $role, $keep ? 1 : 0));
    }

    public static function abort(int $id): string
    {
        return self::record(self::ABORT_REQUEST, $id, '');
    }

    /**
     * A stream of records and the empty one that ends it.
     */
    public static function streamOf(int $type, int $id, string $content): string
    {
        $records = '';
        foreach ($content === '' ? [] : str_split($content, 65535) as $piece) {
            $records .= self::record($type, $id, $piece);
        }
        return $records . self::record($type, $id, '');
    }

    /** @param array<string, string> $params */
    public static function pairs(array $params): string
    {
        $length = static fn (string $s) => strlen($s) < 128 ? chr(strlen($s)) : pack('N', strlen($s) | 0x80000000);
        $bytes = '';
        foreach ($params as $name => $value) {
            $bytes .= $length((string) $name) . $length($value) . $name . $value;
        }
        return $bytes;
    }

    /** @return array<string, string> */
    public static function parsePairs(string $bytes): array
    {
        $at = 0;
        $length = static function () use ($bytes, &$at): int {
            if (ord($bytes[$at]) < 128) {
                return ord($bytes[$at++]);
            }
            $at += 4;
            return unpack('N', $bytes, $at - 4)[1] & 0x7fffffff;
        };
        $pairs = [];
        while ($at < strlen($bytes)) {
            [$name, $value] = [$length(), $length()];
            $pairs[substr($bytes, $at, $name)] = substr($bytes, $at + $name, $value);
            $at += $name + $value;
        }
        return $pairs;
    }

    /**
     * A whole request as a web server writes it.
     *
     * @param array<string, string> $params
     */
    public static function request(int $id, array $params, bool $keep = false, string $body = ''): string
    {
        return self::begin($id, $keep)
            . self::streamOf(self::PARAMS, $id, self::pairs($params))
            . self::streamOf(self::STDIN, $id, $body);
    }

    /**
     * The parameters of a GET of an event stream; $more adds or replaces.
     *
     * @param array<string, string> $more
     * @return array<string, string>
     */
    public static function params(string $query, array $more = []): array
    {
        return $more + [
            'REQUEST_METHOD' => 'GET',
            'QUERY_STRING' => $query,
            'REQUEST_URI' => '/sidecast?' . $query,
            'SCRIPT_NAME' => '/sidecast',
            'SERVER_PROTOCOL' => 'HTTP/1.1',
            'CONTENT_LENGTH' => '',
            'HTTP_ACCEPT' => 'text/event-stream',
        ];
    }
}
