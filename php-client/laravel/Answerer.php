<?php

declare(strict_types=1);

namespace Sidecast\Laravel;

use Illuminate\Http\Response;
use Sidecast\Exception\InvalidGrant;
use Sidecast\Handoff;
use Sidecast\Token;
use Sidecast\Token\Signer;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/** Answers a visitor who may listen: by handing the request over to Sidecast, or with a token for it. */
final class Answerer
{
    public const HANDOFF = 'handoff';
    public const TOKEN = 'token';
    public const COOKIE = 'cookie';

    /**
     * @param Handoff $handoff what each hand-off begins with: its location
     * @param Token   $token   what each token begins with: its ttl, issuer, audience
     * @param ?Signer $signer  signs tokens; null: there are hand-offs only
     * @param ?int    $ttl     seconds after which a hand-off ends and the visitor is asked for anew; null: never
     * @param string  $path    below which the cookie is sent
     * @param bool    $secure  the cookie over https only
     */
    public function __construct(
        private readonly string $mode,
        private readonly Handoff $handoff,
        private readonly Token $token,
        private readonly ?Signer $signer,
        private readonly ?int $ttl = null,
        private readonly string $path = '/',
        private readonly bool $secure = true,
    ) {
    }

    /**
     * @param non-empty-list<string> $channels that the visitor may listen to
     * @param ?string                $client   id that the page has chosen, for toOthers()
     *
     * @throws AccessDeniedHttpException if a name is none of a channel, whatever a callback has said of it
     */
    public function answer(array $channels, ?string $client): Response
    {
        try {
            return $this->mode === self::HANDOFF
                ? $this->handOver($channels, $client)
                : $this->sign($channels, $client);
        } catch (InvalidGrant $error) {
            throw new AccessDeniedHttpException($error->getMessage(), $error);
        }
    }

    /** @param non-empty-list<string> $channels */
    private function handOver(array $channels, ?string $client): Response
    {
        $handoff = $this->handoff->channels($channels);
        $handoff = $client === null ? $handoff : $handoff->client($client);
        $handoff = $this->ttl === null ? $handoff : $handoff->expires(\time() + $this->ttl);

        return new Response('', $handoff->status(), $handoff->headers());
    }

    /** @param non-empty-list<string> $channels */
    private function sign(array $channels, ?string $client): Response
    {
        if ($this->signer === null) {
            throw new InvalidGrant('no key signs tokens: see listen.secret of the connection');
        }
        $now = \time();
        $token = $this->token->channels($channels);
        $token = $client === null ? $token : $token->client($client);
        $jwt = $this->mode === self::COOKIE
            ? $token->signForCookie($this->signer, $now)
            : $token->sign($this->signer, $now);
        $cookie = $token->cookie($this->path, $this->secure, $now);
        $answer = ['channels' => $channels, 'expires' => $cookie['expires']];
        $answer += $this->mode === self::TOKEN ? ['token' => $jwt] : [];
        $headers = ['Content-Type' => 'application/json', 'Cache-Control' => 'no-store'];
        $response = new Response((string) \json_encode($answer, \JSON_UNESCAPED_SLASHES), 200, $headers);
        if ($this->mode === self::COOKIE) {
            $response->headers->setCookie(Cookie::create(
                Token::COOKIE,
                $jwt,
                $cookie['expires'],
                $this->path,
                null,
                $this->secure,
                true,
                false,
                Cookie::SAMESITE_LAX,
            ));
        }

        return $response;
    }
}
