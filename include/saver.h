/*
 * saver: history over a restart. It loads what the life before has left, has a snapshot collected and written at an interval, and writes the last one. A
 * snapshot is of all that was taken in until it was begun:
 *
 *     hub: keys (a slice each turn) ─► first worker: messages (a slice each turn) ─► thread of the archive: bytes, file
 *
 * Without hub.state_dir it does nothing. Hub thread only.
 */
#ifndef SAVER_H
#define SAVER_H

#include "archive.h"
#include "event_id.h"
#include "settings.h"

#include <ev.h>

struct crew;
struct hub;

struct saver {
    const struct settings *settings; /* borrowed; NULL: nothing is kept */
    struct ev_loop *loop;            /* borrowed, like the next two; NULL until it runs */
    struct hub *hub;
    struct crew *crew;
    struct archive archive;
    struct snapshot *snapshot;       /* owned; what was loaded, later what is being collected; or NULL */
    ev_timer interval;
    ev_timer slice;                  /* active while keys are collected */
    struct log_limit log_limit;
};

/* Locks hub.state_dir, before anything in it is looked at. False: `error` says why, nothing is left. */
bool saver_open(struct saver *saver, const struct settings *settings, char *error, size_t size) __attribute__((warn_unused_result));
/* Loads what there is and moves `start` above all ids in it. Before the first table, whose key it may bring. */
void saver_load(struct saver *saver, struct event_id *start);
/* Puts what was loaded into the hub and the workers, which are new, before there are threads. */
void saver_restore(struct saver *saver, struct hub *hub, struct crew *crew);
/* The last of a start, right before the first message can be taken in. From now on the interval runs. False: `error` says why. */
bool saver_begin(struct saver *saver, struct ev_loop *loop, char *error, size_t size) __attribute__((warn_unused_result));
/* The settings changed. */
void saver_reload(struct saver *saver);
/* The last snapshot, after the loop: the endpoints are closed, no thread runs, and nothing is taken in any more. */
void saver_end(struct saver *saver);
/* Fine for one that is zeroed. */
void saver_close(struct saver *saver);

#endif
