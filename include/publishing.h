/*
 * publishing: publish requests: whether they may, the offer that goes to the hub, and the answer when it is back.
 */
#ifndef PUBLISHING_H
#define PUBLISHING_H

struct connection;
struct offer;

/*
 * Decides a publish request, which the worker's decoder holds: answers it, or offers it to the hub (OFFERED). `params` are its parameters:
 * they say to which channels it may publish (access.h); one that it may not: 403 not_allowed, and nothing is published.
 */
void publishing_decide(struct connection *connection, char *const *params);
/* It came back: answers the connection, if it still waits, and frees the offer. */
void publishing_answer_take(struct offer *offer);
/* The hub took too long. Answers that nothing was published, if that is so. */
void publishing_give_up(struct connection *connection);

#endif
