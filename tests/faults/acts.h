/* acts: what happens in a life while it serves. */
#ifndef ACTS_H
#define ACTS_H

#include "life.h"

#define TOKEN_SECRET "0123456789abcdef0123456789abcdef"
/* Signed with it, good until 2036: to listen to a, b and what is below private, to publish to a. */
#define TOKEN "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJjaGFubmVscyI6WyJhIiwiYiIsInByaXZhdGUvKiJdLCJwdWJsaXNoIjpbImEiXSwic3ViIjoibWUiLCJpYXQiOjE3OTU4MjI3MDMsImV4cCI6MjExMTE4MjcwM30.AcIJuK0DffeBC67XLVbtr-g21db1PFRX7stOZ3wNNXw"

void acts_play(struct life *life);

/* Of life.c, for acts. */
void life_path(const struct life *life, const char *name, char path[128]);
/* A line of the log was lost, so nothing can be expected of it. */
bool life_log_is_short(const struct life *life);
/* Until the bystander has the message, or is told that it is lost. It comes back with its cursor if it is cut. */
void life_settle(struct life *life, int number);

#endif
