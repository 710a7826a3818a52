/*
 * gate: what stands between libzmq and the kernel on the publishers' connections. It mends two things that libzmq (4.3.4) does, by defining three
 * calls for the whole process. accept4 and epoll_ctl are the kernel's own for all that is not a publisher's; epoll_wait is the same for
 * everybody, and who reads at EPOLLIN, as libev's watchers do, misses nothing by it.
 *  - accept4: libzmq accepts without a limit, and aborts the process when accept on an ipc endpoint meets EMFILE; unbinding would cut those who
 *    are there. On a publish endpoint a connection above the limit, or without a descriptor for it, is accepted, closed at once, and reported
 *    to libzmq as ECONNABORTED, which it takes for a peer that left.
 *  - epoll_ctl, epoll_wait: at the high-water mark libzmq stops reading by asking for no events. If the publisher then leaves, epoll reports the hang-up
 *    all the same, and libzmq throws away what the publisher had written and nobody had read yet. So a publisher's connection without events
 *    is taken out of the epoll set until libzmq reads again.
 */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the first publish endpoint. `limit`: connections at once over all of them. False: no memory or descriptor. */
bool gate_init(size_t limit) __attribute__((warn_unused_result));
void gate_finish(void);
/*
 * libzmq will accept on this descriptor. `answers`: publishers get answers there, so gate_shut_reading leaves them alone. `is_passed`: another process
 * has the socket, too.
 */
void gate_guard(int listening_fd, bool answers, bool is_passed);
/* The descriptor is going to be closed. */
void gate_unguard(int listening_fd);

/*
 * Takes no new publishers, and no more from those who get no answers: what they have written can still be read, then libzmq sees the end. A local publisher's next write fails at once
 * (EPIPE), so that nothing is handed over that nobody will read; over TCP the kernel goes on taking bytes. New ones are refused, but on a socket that
 * was passed in they wait, not accepted, for the next process.
 */
void gate_shut_reading(void);

/* Publishers connected now. any thread */
size_t gate_count(void);
/* Connections refused since the start. any thread */
uint64_t gate_refused(void);

#endif
