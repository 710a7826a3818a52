/*
 * archive: snapshots as files of hub.state_dir. The one that a life ends with, behind which nothing was taken in, is `history.complete`; every other is
 * `history.snapshot`. The name is the mark: a start makes the first the second before it takes anything in, so that no life believes it twice.
 *
 *     end of a life ──► history.complete ──(a start)──► history.snapshot ◄── each interval          what is damaged: ──► history.damaged
 *
 * A file is written as `history.new`, synced, renamed, and the directory synced: who looks finds the old one whole or the new one. Hub thread only, but for
 * archive_write_take.
 */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;

struct archive {
    const char *folder;        /* borrowed */
    int fd;                    /* of the folder; locked */
    pthread_mutex_t lock;      /* of the rest */
    pthread_t thread;
    struct snapshot *snapshot; /* owned; what the thread writes */
    bool has_thread;           /* to be joined */
    bool is_busy;              /* a snapshot is being collected or written */
    uint64_t written;          /* snapshots */
    uint64_t failed;
};

/* Locks the folder against another server. False: `error` says why, nothing is left. */
bool archive_open(struct archive *archive, const char *folder, char *error, size_t size) __attribute__((warn_unused_result));
/* Waits for the thread. Fine for one that is zeroed. */
void archive_close(struct archive *archive);

/*
 * What the life before has left, the caller's; NULL: nothing that can be used. What is damaged is logged and moved aside. Its marks are gone if it is not of an
 * orderly end. The moment on both clocks.
 */
struct snapshot *archive_load(struct archive *archive, uint64_t wall_ms, int64_t now_ms);
/* Before the first message is taken in: no later life will believe that nothing followed what was loaded. False: `error` says why. */
bool archive_use_up(struct archive *archive, char *error, size_t size) __attribute__((warn_unused_result));

/* One snapshot at a time. False: the one before is not written yet. */
bool archive_claim(struct archive *archive) __attribute__((warn_unused_result));
/* There will be none. */
void archive_give_up(struct archive *archive);
/* Writes what was claimed for on a thread of its own, and destroys it. any thread */
void archive_write_take(struct archive *archive, struct snapshot *snapshot);
/* Waits for that thread. */
void archive_wait(struct archive *archive);
/* The last one of this life: all that was taken in is in it, with the marks. */
void archive_write_last(struct archive *archive, const struct snapshot *snapshot);

#endif
