/*
 * audience: the clients of the do-nothing responder and the channels they listen to. Each message is written to every client of
 * its channel, one blocking `write` each; with a pace, what comes within it goes out together. A poll is answered at once without
 * a cursor, and by the next message with any: there is no history.
 */
#ifndef AUDIENCE_H
#define AUDIENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct client;

/* Milliseconds, below 1000; 0 (at the start): each message goes out at once. */
void audience_pace(unsigned ms);

/* Takes the descriptor over. */
struct client *audience_add(int fd);

/* What came from the client: a request, or its end, with which it is freed. */
void audience_read(struct client *client);

/* A message; may free any client that has gone. */
void audience_tell(const char *channel, const char *data, size_t size);

/* Writes what was gathered, if it is time; may free any client that has gone. */
void audience_write_due(void);

/* False: nothing is gathered. Else how long it may wait. */
bool audience_wait(struct timespec *wait);

#endif
