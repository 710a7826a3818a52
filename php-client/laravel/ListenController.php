<?php

declare(strict_types=1);

namespace Sidecast\Laravel;

use Illuminate\Http\Request;
use Illuminate\Http\Response;
use Illuminate\Support\Str;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;
use Symfony\Component\HttpKernel\Exception\BadRequestHttpException;

/**
 * Decides by the callbacks of routes/channels.php who may listen. In routes/web.php:
 *
 *     Route::get('/listen', Sidecast\Laravel\ListenController::class);
 *
 * All channels that are asked for must be allowed, else it is 403 for all of them.
 */
final class ListenController
{
    private const MAX_CHANNELS = 100;

    /**
     * @param list<string> $public channels without private- or presence- that everybody may have, as for Str::is()
     */
    public function __construct(
        private readonly SidecastBroadcaster $broadcaster,
        private readonly Answerer $answerer,
        private readonly array $public = [],
    ) {
    }

    /**
     * Answers a request like `/listen?channel=private-orders.1&channel=presence-room.5&client=tab-7`.
     *
     * @throws AccessDeniedHttpException if a channel is refused
     * @throws BadRequestHttpException   if none or too many are asked for
     */
    public function __invoke(Request $request): Response
    {
        $channels = self::channels((string) $request->server('QUERY_STRING', ''));
        foreach ($channels as $channel) {
            $this->decide($request, $channel);
        }
        $client = $request->query('client');

        return $this->answerer->answer($channels, \is_string($client) && $client !== '' ? $client : null);
    }

    /** @throws AccessDeniedHttpException */
    private function decide(Request $request, string $channel): void
    {
        if ($this->broadcaster->isGuardedChannel($channel)) {
            $this->broadcaster->allow($request, $channel);
        } elseif (!self::isPublic($channel, $this->public)) {
            throw new AccessDeniedHttpException();
        }
    }

    /** @param list<string> $patterns */
    private static function isPublic(string $channel, array $patterns): bool
    {
        foreach ($patterns as $pattern) {
            if (Str::is($pattern, $channel)) {
                return true;
            }
        }

        return false;
    }

    /**
     * Each channel= of a query, which PHP would only keep the last of, and each channel[]=.
     *
     * @return non-empty-list<string>
     *
     * @throws BadRequestHttpException
     */
    private static function channels(string $query): array
    {
        $channels = [];
        foreach (\explode('&', $query) as $pair) {
            [$name, $value] = \explode('=', $pair, 2) + [1 => ''];
            if (\in_array(\urldecode($name), ['channel', 'channel[]'], true)) {
                $channels[\urldecode($value)] = true;
            }
        }
        $channels = \array_map(strval(...), \array_keys($channels));
        if ($channels === [] || \count($channels) > self::MAX_CHANNELS) {
            throw new BadRequestHttpException(\sprintf('expected channel=<name>, 1 to %d times', self::MAX_CHANNELS));
        }

        return $channels;
    }
}
