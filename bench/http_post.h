/* http_post: POST requests over kept connections, one at a time on each. What finds none free waits in order. */
#ifndef HTTP_POST_H
#define HTTP_POST_H

#include <stddef.h>
#include <stdint.h>

struct http_post;

/* `target`: ADDRESS/PATH%s as in publisher.h. Ends the program on failure. */
struct http_post *http_post_open(const char *target, unsigned connections, int epoll,
                                 void (*on_fault)(void *context, const char *what), void *context);

void http_post_send(struct http_post *post, const char *channel, const char *payload, size_t size);

/* Requests not answered yet, those not sent included. */
uint64_t http_post_waiting(const struct http_post *post);

#endif
