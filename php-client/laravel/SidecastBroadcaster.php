<?php

declare(strict_types=1);

namespace Sidecast\Laravel;

use Illuminate\Broadcasting\BroadcastException;
use Illuminate\Broadcasting\Broadcasters\Broadcaster;
use Illuminate\Broadcasting\Broadcasters\UsePusherChannelConventions;
use Sidecast\Exception\InvalidMessage;
use Sidecast\Exception\PublishFailed;
use Sidecast\Message;
use Sidecast\PublisherInterface;
use Symfony\Component\HttpKernel\Exception\AccessDeniedHttpException;

/**
 * Laravel's broadcasting through Sidecast.
 *
 * Channels keep the names that Laravel gives them (`private-orders.1`); the event's name is the SSE event, its payload
 * as JSON the data; the socket id (toOthers()) is the client id that must not get it.
 */
final class SidecastBroadcaster extends Broadcaster
{
    use UsePusherChannelConventions;

    private const SOCKET_BYTES = 255;

    /** @param PublisherInterface $publisher one that throws: else what is not handed over goes unnoticed */
    public function __construct(private readonly PublisherInterface $publisher)
    {
    }

    /**
     * Answers /broadcasting/auth by the callbacks of routes/channels.php.
     *
     * @param \Illuminate\Http\Request $request with channel_name
     *
     * @throws AccessDeniedHttpException if nobody is logged in, no callback knows the channel, or it says no
     */
    public function auth($request): mixed
    {
        $given = $request->channel_name;
        if (!\is_string($given) || $given === '') {
            throw new AccessDeniedHttpException();
        }

        return $this->allow($request, $given);
    }

    /**
     * Asks the callbacks of routes/channels.php whether the user of a request may listen to a channel.
     *
     * @param \Illuminate\Http\Request $request
     * @param string                   $name    with its private- or presence-
     *
     * @return mixed what auth() answers
     *
     * @throws AccessDeniedHttpException if nobody is logged in, no callback knows the channel, or it says no
     */
    public function allow($request, string $name): mixed
    {
        $channel = $this->normalizeChannelName($name);
        if ($this->isGuardedChannel($name) && !$this->retrieveUser($request, $channel)) {
            throw new AccessDeniedHttpException();
        }

        return $this->verifyUserCanAccessChannel($request, $channel);
    }

    /**
     * What auth() answers when the callback has said yes: `true`, or on a presence channel what it told of the user.
     *
     * This opens no stream by itself: that is what {@see ListenController} is for.
     *
     * @param \Illuminate\Http\Request $request
     * @param mixed                    $result of the callback
     *
     * @return array<string, mixed>
     */
    public function validAuthenticationResponse($request, $result): array
    {
        $answer = ['channel' => $request->channel_name];

        return \is_bool($result) ? $answer : $answer + ['user' => $result];
    }

    /**
     * Publishes one message to each channel, none if one of them cannot be.
     *
     * @param array<array-key, \Stringable|string> $channels
     * @param string                               $event
     * @param array<string, mixed>                 $payload  its `socket` is the client that must not get it
     *
     * @throws BroadcastException when not everything was handed over; the text says why
     */
    public function broadcast(array $channels, $event, array $payload = []): void
    {
        $except = self::clientOf($payload['socket'] ?? null);
        unset($payload['socket']);
        try {
            $messages = \array_map(
                // without anything to tell, an object all the same, as for every other event
                static fn (string $channel): Message
                    => new Message($channel, $payload === [] ? '{}' : $payload, $event, $except),
                \array_values($this->formatChannels($channels)),
            );
            $result = $this->publisher->publishBatch($messages);
        } catch (InvalidMessage | PublishFailed $error) {
            throw new BroadcastException('Sidecast: ' . $error->getMessage(), 0, $error);
        }
        if (!$result->ok) {
            throw new BroadcastException('Sidecast: ' . $result->reason());
        }
    }

    /** The client that a socket id names; null if none can: it is a header of the browser's, and may be anything. */
    private static function clientOf(mixed $socket): ?string
    {
        $possible = \is_string($socket) && $socket !== '' && \strlen($socket) <= self::SOCKET_BYTES
            && \preg_match('/\A\P{Cc}+\z/u', $socket) === 1;

        return $possible ? $socket : null;
    }
}
