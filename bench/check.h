/*
 * check: what every subscriber of a run must see. Payloads are numbered; the numbers have no hole and no repetition, every
 * payload has its size, ids rise where the server's ids are known to. Without I/O.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CHECK_PAYLOAD_MIN = 48, CHECK_PAYLOAD_MAX = 60000 };

/* One subscriber's place. Zeroed memory awaits number 0. */
struct sequence {
    uint64_t expected;
    uint64_t id_ms, id_seq; /* of the last message */
};

/* What all subscribers of a run share. */
struct check {
    size_t payload_bytes; /* what every payload has */
    bool ids_rise;        /* every message has an id `<ms>-<seq>` above the last one's */
    void (*on_message)(void *context, uint64_t sent_ns);
    /* A subscriber saw something else; `what` is static. */
    void (*on_fault)(void *context, const struct sequence *sequence, const char *what);
    void *context;
};

/* The payload that is checked: number and monotonic time of sending, filled up to `size` bytes. Not terminated. */
void check_write_payload(char *payload, size_t size, uint64_t number, uint64_t sent_ns);

/* A payload came: `text` begins with it and is terminated somewhere behind its two numbers; it had `size` bytes. */
void check_payload(const struct check *check, struct sequence *sequence, const char *text, size_t size);

/* `text`: the id that a message came with, terminated by anything but a digit. */
void check_id(const struct check *check, struct sequence *sequence, const char *text);

#endif
