/* join: a request becomes a subscriber. */
#ifndef JOIN_H
#define JOIN_H

#include "framing.h"

#include <stdint.h>

struct replica;
struct request;
struct subscriber;

/*
 * Begins the response to an authorized request and advances once. `subscriber` is all zero. False: no memory; nothing was written.
 * It may have left (io->left was called) when this returns.
 */
_Bool join_subscriber(struct replica *replica, struct subscriber *subscriber, const struct request *request,
                      enum framing_name framing, uint16_t request_id) __attribute__((warn_unused_result));

#endif
