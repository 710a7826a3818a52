/*
 * confirm: publications that are answered. A request has the frames of a PUSH, behind an empty one as REQ sends it or without; the reply has one frame
 * for each item, `ok <id> …` or `error <code> <message>`, behind an empty one if the request had it. Hub thread only.
 */
#ifndef CONFIRM_H
#define CONFIRM_H

#include "intake.h"

struct hub;

/* A message that `intake`, a ROUTER, received. When it is answered, what was published of it is in every inbox. */
void confirm_take(struct hub *hub, struct intake *intake, struct intake_message *message);

#endif
