/*
 * publisher: hands messages to a server in its own way. ENDPOINT is one of
 *
 *     ipc://… tcp://…              ZeroMQ PUSH, two frames: channel, data
 *     pushpin:ipc://…              ZeroMQ PUSH, one frame: pushpin's JSON for an event stream
 *     dgram:PATH                   a datagram, for the bare writer
 *     packets:PATH                 a packet (SOCK_SEQPACKET), for the bare writer of bursts
 *     http:ADDRESS/PATH%s          POST, %s the channel; ADDRESS is 127.0.0.1:PORT or a unix path that ends in .sock
 *
 * By HTTP over several kept connections with one request each at a time; what finds none free waits here, in order.
 */
#ifndef PUBLISHER_H
#define PUBLISHER_H

#include <stddef.h>
#include <stdint.h>

struct publisher;

/*
 * `connections`: of HTTP, or sockets of ZeroMQ. Answers are awaited in `epoll`, as watchers. `on_fault` (static text) tells of
 * a message that was refused. Ends the program on failure.
 */
struct publisher *publisher_open(const char *endpoint, unsigned connections, int epoll,
                                 void (*on_fault)(void *context, const char *what), void *context);

/* `lane` chooses the socket, where there are several of ZeroMQ (modulo their number). */
void publisher_send(struct publisher *publisher, unsigned lane, const char *channel, const char *payload, size_t size);

/* Messages that the server has not confirmed; 0 where it never does. */
uint64_t publisher_waiting(const struct publisher *publisher);

#endif
