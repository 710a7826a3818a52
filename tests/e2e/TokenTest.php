<?php

declare(strict_types=1);

namespace Sidecast\EndToEnd;

/**
 * Tokens, from those who make them to the stream that ends with them, through a front end with the project's snippets.
 *
 * @group front-end
 */
final class TokenTest extends EndToEndTestCase
{
    protected const SHARED = null;

    public function test_a_token_lets_its_holder_listen_wherever_it_travels(): void
    {
        $this->startWithSecret();
        $token = Token::make(['channels' => ['orders/7']]);
        $clients = [
            $this->stack->listen('', ['Authorization' => "Bearer $token"]),
            $this->stack->listen("channel=orders/7&channel=public/1&token=$token"),
            $this->stack->listen('', ['Cookie' => "session=secret; sidecast_token=$token; theme=dark"]),
        ];
        foreach ($clients as $client) {
            $client->opened();
        }
        $this->stack->publish('orders/7', 'shipped');
        foreach ($clients as $client) {
            $client->expect('shipped');
        }
        $poll = $this->stack->poll('last=1', ['Authorization' => "Bearer $token"]);
        self::assertSame('shipped', $poll['messages'][0]['data']);
    }

    /** @dataProvider refusals */
    public function test_a_token_that_is_not_good_is_refused(callable $makeToken, string $code): void
    {
        $this->startWithSecret(['token.audience' => 'this-house', 'token.leeway' => '0']);
        $headers = ['Authorization' => 'Bearer ' . $makeToken()];
        foreach (['channel=a', 'channel=public/1', ''] as $query) {
            $response = $this->stack->startPoll($query, $headers)->wait();
            self::assertSame([401, $code], [$response->status, $response->json()['error']]);
            self::assertSame('Bearer error="invalid_token"', $response->header('WWW-Authenticate'));
            self::assertStringNotContainsString('this-house', $response->body);
        }
    }

    /** @return array<string, array{callable, string}> */
    public static function refusals(): array
    {
        $claims = ['channels' => ['a'], 'aud' => 'this-house'];
        $none = Token::base64('{"alg":"none"}') . '.' . Token::base64(json_encode($claims + ['exp' => 4000000000])) . '.';
        return [
            'no token at all' => [fn () => 'abc', 'token_invalid'],
            'another secret' => [fn () => Token::make($claims, 'another secret of more than 32 bytes'), 'token_invalid'],
            'not signed' => [fn () => $none, 'token_invalid'],
            'another algorithm' => [fn () => Token::make($claims, Token::SECRET, ['alg' => 'HS512']), 'token_invalid'],
            'with crit' => [fn () => Token::make($claims, Token::SECRET, ['crit' => ['x'], 'x' => 1]), 'token_invalid'],
            'for somebody else' => [fn () => Token::make(['aud' => 'there'] + $claims), 'token_invalid'],
            'channels as a string' => [fn () => Token::make(['channels' => 'a'] + $claims), 'token_invalid'],
            'expired' => [fn () => Token::make($claims + ['exp' => time() - 1]), 'token_expired'],
            'not good yet' => [fn () => Token::make($claims + ['nbf' => time() + 60]), 'token_not_yet_valid'],
        ];
    }

    public function test_a_token_is_good_for_its_channels_alone(): void
    {
        $this->startWithSecret();
        $headers = ['Authorization' => 'Bearer ' . Token::make(['channels' => ['orders/7']])];
        $response = $this->stack->startPoll('channel=orders/8', $headers)->wait();
        self::assertSame([403, 'not_allowed'], [$response->status, $response->json()['error']]);
        $response = $this->stack->startPoll('channel=orders/7')->wait();
        self::assertSame([403, 'not_allowed'], [$response->status, $response->json()['error']]);
        $response = $this->stack->request('GET', '/granted?channel=orders/7', $headers)->wait();
        self::assertSame([403, 'not_allowed'], [$response->status, $response->json()['error']], 'a grant of nginx is all there is');
    }

    public function test_without_keys_tokens_are_not_supported(): void
    {
        $this->start();
        $response = $this->stack->startPoll('channel=a&token=' . Token::make(['channels' => ['a']]))->wait();
        self::assertSame([401, 'token_not_supported'], [$response->status, $response->json()['error']]);
    }

    public function test_the_sender_of_a_message_is_known_by_its_token(): void
    {
        $this->startWithSecret();
        $sender = $this->stack->listen('client=x', ['Authorization' => 'Bearer ' . Token::make(['channels' => ['chat'], 'sub' => 'user 7'])]);
        $other = $this->stack->listen('', ['Authorization' => 'Bearer ' . Token::make(['channels' => ['chat'], 'sub' => 'user 8'])]);
        $sender->opened();
        $other->opened();
        $this->stack->publish('chat', 'from 7', ['except' => 'user 7']);
        $this->stack->publish('chat', 'to all');
        $other->expect('from 7', 'to all');
        $sender->expect('to all');
    }

    public function test_a_stream_ends_with_its_token(): void
    {
        $this->startWithSecret(['token.leeway' => '0']);
        $end = time() + 2;
        $headers = ['Authorization' => 'Bearer ' . Token::make(['channels' => ['orders/7'], 'exp' => $end])];
        $stream = $this->stack->listen('', $headers);
        $cursor = $stream->opened();
        $poll = $this->stack->startPoll("cursor=$cursor&channel=public/1", $headers);
        $this->stack->publish('orders/7', 'in time');
        $stream->expect('in time');
        $cursor = $stream->cursor();

        $event = $stream->next();
        self::assertSame('sidecast.expired', $event->type);
        self::assertSame([$cursor, ['cursor' => $cursor]], [$event->id, $event->json()]);
        $stream->waitForCleanEnd();
        self::assertSame(0, $stream->pending());
        self::assertGreaterThan($end - 0.1, microtime(true));

        self::assertSame([], $poll->wait()->json()['messages']);
        $response = $this->stack->startPoll("cursor=$cursor", $headers)->wait();
        self::assertSame([401, 'token_expired'], [$response->status, $response->json()['error']]);
    }

    /**
     * A token needs no PHP: while php-fpm is away two thousand clients come back, each with its own, and miss nothing.
     *
     * @group not-apache
     */
    public function test_two_thousand_clients_come_back_while_php_is_away(): void
    {
        $this->startWithSecret(['sse.max_age' => '2s', 'sse.retry' => '300ms']);
        $this->stack->fpm()->stop();
        $crowd = new Crowd(2000, $this->stack->frontEnd(), '/events', static fn (int $number) => [
            'Cookie' => 'sidecast_token=' . Token::make(['channels' => ['news'], 'sub' => "user-$number", 'exp' => time() + 600]),
        ]);
        $crowd->until(static fn (CrowdMember $member) => $member->others === ['sidecast.open'], 'all to be in');

        $published = 0;
        $next = Loop::now();
        $publish = function () use (&$published, &$next): void { // while they listen, and while they are on their way
            if (Loop::now() >= $next) {
                $this->stack->publish('news', (string) ++$published);
                $next = Loop::now() + 0.25;
            }
        };
        $crowd->until(static fn (CrowdMember $member) => $member->streams >= 3, 'all to have come back twice', $publish);
        $this->stack->publish('news', 'last');
        $crowd->until(static fn (CrowdMember $member) => end($member->messages) === 'last', 'the last message at all');
        $expected = [...array_map(strval(...), range(1, $published)), 'last'];
        foreach ($crowd->members as $number => $member) {
            self::assertSame($expected, $member->messages, "client $number: each message once, in order");
            self::assertSame(['sidecast.open'], $member->others, "client $number: no gap");
        }
        $crowd->leave();
    }

    public function test_a_grant_of_nginx_ends_when_it_says(): void
    {
        $this->start();
        $end = time() + 2;
        $grant = ['SIDECAST_CHANNELS' => 'a,b', 'SIDECAST_EXPIRES' => (string) $end];
        $stream = $this->stack->daemon->fastcgi()->listen('', $grant);
        $cursor = $stream->opened();
        $event = $stream->next();
        self::assertSame(['sidecast.expired', $cursor], [$event->type, $event->id]);
        $stream->waitForCleanEnd();
        foreach (['grant_expired' => (string) $end, 'bad_expires' => 'soon'] as $code => $expires) {
            $response = $this->stack->daemon->fastcgi()
                ->request(FastCgi::params('', ['SIDECAST_EXPIRES' => $expires] + $grant))->wait();
            self::assertSame([403, $code], [$response->status, $response->json()['error']]);
        }
    }

    public function test_keys_are_changed_by_a_reload(): void
    {
        $stack = $this->prepare(['access.public' => 'public/**']);
        $file = "$stack->directory/keys.json";
        $keys = ['old' => Token::rsaKey(), 'new' => Token::ecKey()];
        $this->writeKeys($file, [Token::jwk($keys['old'], 'old')]);
        $stack->daemon->start(['token.keys_file' => $file]);
        $claims = ['channels' => ['a']];
        $tokens = array_map(fn (string $id) => Token::sign($claims, $keys[$id], $id), ['old' => 'old', 'new' => 'new']);
        $stream = $stack->listen("token={$tokens['old']}");
        $stream->opened();
        self::assertSame([200, 401], [$this->answer($tokens['old']), $this->answer($tokens['new'])]);

        $this->writeKeys($file, [Token::jwk($keys['new'], 'new'), Token::jwk($keys['old'], 'old')]);
        $this->reload('/reload: done/');
        self::assertSame([200, 200], [$this->answer($tokens['old']), $this->answer($tokens['new'])]);

        chmod($file, 0644);
        $this->reload('/keys\.json: others can read or change it.*stay as they were/');
        file_put_contents($file, '{"keys":[{}]}');
        chmod($file, 0600);
        $this->reload('/keys\.json: key 1: expected "alg".*stay as they were/');
        self::assertSame([200, 200], [$this->answer($tokens['old']), $this->answer($tokens['new'])]);

        $this->writeKeys($file, [Token::jwk($keys['new'], 'new'), Token::secretJwk(Token::SECRET, 'third')]);
        $this->reload('/(reload: done.*){4}/s');
        self::assertSame([401, 200], [$this->answer($tokens['old']), $this->answer($tokens['new'])]);
        self::assertSame(200, $this->answer(Token::make($claims, Token::SECRET, ['kid' => 'third'])));
        $stack->publish('a', 'still here');
        $stream->expect('still here');
    }

    /** @testWith [420, "others can read or change it"]
     *            [384, "at least 32 bytes"]
     */
    public function test_a_bad_key_file_stops_the_start(int $mode, string $says): void
    {
        $stack = $this->prepare();
        $file = "$stack->directory/secret";
        file_put_contents($file, 'too short');
        chmod($file, $mode);
        $stack->daemon->launch(['token.secret_file' => $file]);
        self::assertGreaterThan(0, $stack->daemon->process->waitForExit());
        self::assertStringContainsString($says, $stack->daemon->process->err->text);
        self::assertStringNotContainsString('too short', $stack->daemon->process->err->text);
    }

    /** @group nginx */
    public function test_no_log_ever_holds_a_token(): void
    {
        $this->startWithSecret(['log.level' => 'debug']);
        $token = Token::make(['channels' => ['a']]);
        $bad = Token::make(['channels' => ['a']], 'another secret of more than 32 bytes');
        foreach ([$token, $bad] as $each) {
            $this->stack->startPoll("token=$each")->wait();
            $this->stack->startPoll('', ['Authorization' => "Bearer $each"])->wait();
            $this->stack->startPoll('', ['Cookie' => "sidecast_token=$each"])->wait();
        }
        $this->reload('/reload: done/');
        $log = $this->stack->nginx()->accessLog;
        $this->eventually('six lines in the access log', fn () => substr_count((string) @file_get_contents($log), "\n") >= 6);
        foreach ([$token, $bad] as $each) {
            $signature = substr($each, -20);
            self::assertStringNotContainsString($signature, file_get_contents($log));
            self::assertStringNotContainsString($signature, $this->stack->daemon->process->err->text);
        }
        self::assertStringNotContainsString(Token::SECRET, $this->stack->daemon->process->err->text);
    }

    public function test_tokens_are_made_on_the_command_line(): void
    {
        $this->startWithSecret(['token.issuer' => 'me', 'token.audience' => 'here']);
        $config = $this->stack->daemon->configFile;
        $made = $this->command('-c', $config, '--channels', 'orders/7, news', '--sub=user 7', '--ttl', '5min');
        self::assertSame(0, $made->exitCode(), $made->err->text);
        $claims = json_decode(base64_decode(strtr(explode('.', $made->out->text)[1], '-_', '+/')), true);
        self::assertSame(['orders/7', 'news'], $claims['channels']);
        self::assertSame(['user 7', 'me', 'here', 300], [$claims['sub'], $claims['iss'], $claims['aud'], $claims['exp'] - $claims['iat']]);
        self::assertSame(200, $this->answer(trim($made->out->text)));

        $file = Token::keyFile($this->stack->directory . '/other', Token::SECRET . "\n");
        $made = $this->command('--secret-file', $file, '--publish', 'chat/*');
        self::assertSame(0, $made->exitCode(), $made->err->text);
        self::assertSame(401, $this->answer(trim($made->out->text)), 'without the issuer');

        $help = $this->command('--help');
        self::assertSame(0, $help->exitCode());
        self::assertStringContainsString('--channels', $help->out->text);
    }

    /**
     * @dataProvider mistakes
     * @param list<string> $arguments
     */
    public function test_a_mistake_in_making_a_token_is_named(array $arguments, int $code, string $says): void
    {
        $directory = $this->prepare()->directory;
        Token::keyFile("$directory/secret", Token::SECRET);
        $this->writeKeys("$directory/public", [Token::jwk(Token::ecKey(), 'one')]);
        $made = $this->command(...array_map(fn (string $word) => str_replace('DIR', $directory, $word), $arguments));
        self::assertSame([$code, ''], [$made->exitCode(), $made->out->text]);
        self::assertStringContainsString($says, $made->err->text);
    }

    /** @return array<string, array{list<string>, int, string}> */
    public static function mistakes(): array
    {
        $key = ['--secret-file', 'DIR/secret'];
        return [
            'nothing' => [[], 2, '--channels or --publish'],
            'unknown option' => [['--chanels', 'a', ...$key], 2, '--chanels'],
            'no value' => [[...$key, '--channels'], 2, '--channels: expected a value'],
            'bad channel' => [['--channels', 'a b', ...$key], 2, '--channels: expected channels'],
            'bad time' => [['--channels', 'a', '--ttl', '5', ...$key], 2, '--ttl: expected a time'],
            'bad id' => [['--channels', 'a', '--sub', "a\nb", ...$key], 2, '--sub: expected'],
            'no key' => [['--channels', 'a'], 3, '--secret-file'],
            'missing file' => [['--channels', 'a', '--secret-file', 'DIR/none'], 3, 'No such file'],
            'public key' => [['--channels', 'a', '--keys-file', 'DIR/public'], 3, 'a key that can sign'],
            'unknown key' => [['--channels', 'a', '--keys-file', 'DIR/public', '--kid', 'two'], 3, '--kid'],
            'no configuration' => [['--channels', 'a', '-c', 'DIR/none'], 3, 'No such file'],
        ];
    }

    /** @param array<string, mixed> $options */
    private function startWithSecret(array $options = []): void
    {
        $stack = $this->prepare($options + ['access.public' => 'public/**']);
        $stack->daemon->start(['token.secret_file' => Token::keyFile("$stack->directory/secret", Token::SECRET . "\n")]);
    }

    /** @param list<array<string, string>> $keys */
    private function writeKeys(string $file, array $keys): void
    {
        Token::keyFile($file, json_encode(['keys' => $keys], JSON_THROW_ON_ERROR));
    }

    /** What a request with this token is answered with. */
    private function answer(string $token): int
    {
        return $this->stack->startPoll('', ['Authorization' => "Bearer $token"])->wait()->status;
    }

    /** Reloads and waits until the log, from its beginning on, says this. */
    private function reload(string $says): void
    {
        $process = $this->stack->daemon->process;
        $before = substr_count($process->err->text, 'reload: done');
        $process->signal(SIGHUP);
        $this->eventually('the reload', fn () => substr_count($process->err->text, 'reload: done') > $before);
        self::assertMatchesRegularExpression($says, $process->err->text);
    }

    private function command(string ...$arguments): Process
    {
        return Process::run([Daemon::binary(), 'token', ...$arguments]);
    }
}
