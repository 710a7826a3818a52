/* One function for each line of the formula; what a record costs is said where it is defined. */
#include "footprint.h"

#include "acceptor.h"
#include "answers.h"
#include "connection.h"
#include "fcgi.h"
#include "inbox.h"
#include "interests.h"
#include "keys.h"
#include "message.h"
#include "offers.h"
#include "pins.h"
#include "poller.h"
#include "replica.h"
#include "settings.h"
#include "wire.h"
#include "worker.h"

enum {
    NAME_BYTES = 255,                /* of a channel, an event, a client, a pattern */
    ALLOCATION_BYTES = 16,           /* the allocator's own cost for one block: its head, and what it rounds up */
    PROGRAM_BYTES = 16 * 1024 * 1024, /* code, libraries, the threads of libzmq, tables that do not grow: 8 MiB after the start */
    THREAD_BYTES = 1024 * 1024,
    ENCODED_GROWTH = 7,              /* "\n" becomes "\ndata: " */
    DECODED_GROWTH = 80,             /* "{}," as jansson has it */
    MESSAGE_BYTES = sizeof(struct message) + sizeof(struct buffer) + 3 * NAME_BYTES + ALLOCATION_BYTES,
    /* libzmq 4.3.4: a small message keeps the 8 KiB that were read with it, with room for the heads of 249 messages; 3 frames of 64 bytes. */
    ZMQ_MESSAGE_BYTES = 8192 + 249 * 40 + 3 * 64 + 64,
    ZMQ_PEER_BYTES = 64 * 1024,      /* a connection: session, engine, pipes with 256 places each */
};

/* What the allocator loses between blocks: an assumption, nothing says that it is not more. */
#define FRAGMENTATION 1.25

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static double connections(const struct settings *settings)
{
    return (double)settings->hub_max_clients + ACCEPTOR_REFUSAL_ROOM;
}

/* The largest that can come in one piece. */
static double frame_bytes(const struct settings *settings)
{
    return larger((double)settings->publish_max_frame_bytes, (double)settings->fastcgi_max_body);
}

static double largest_message(const struct settings *settings)
{
    return ENCODED_GROWTH * (double)settings->publish_max_bytes + MESSAGE_BYTES;
}

static double program(const struct settings *settings)
{
    return PROGRAM_BYTES + (double)settings->hub_workers * (sizeof(struct worker) + WORKER_READ_BYTES + THREAD_BYTES);
}

/* Places double, and the old ones are there while they are copied. */
static double inbox_places(const struct settings *settings)
{
    return 3 * sizeof(struct inbox_item) * (INBOX_ITEMS + (double)settings->publish_max_batch);
}

/* A worker works on what it took out of its inbox while the next comes into it. An answer is made in three copies: its messages, its body, its records. */
static double history(const struct settings *settings)
{
    double answer = larger((double)settings->poll_max_bytes, largest_message(settings));

    return (double)settings->hub_workers * ((double)settings->history_bytes + 2 * (double)settings->history_pinned_bytes + 2 * INBOX_BYTES +
                                            inbox_places(settings) + ANSWERS_KEPT_BYTES + 4 * answer + largest_message(settings));
}

static double key_bytes(const struct settings *settings)
{
    return (double)settings->publish_max_keys * (KEY_BYTES + 2 * NAME_BYTES + ALLOCATION_BYTES);
}

/* What history let go while it is written, or has too much while it is loaded; a pointer for each message; the keys as text; a part of the file. */
static double snapshot(const struct settings *settings)
{
    if (settings->hub_state_dir[0] == '\0')
        return 0;
    return (double)settings->history_bytes * 1.1 + key_bytes(settings) + 2 * 1024 * 1024;
}

static double subscribers(const struct settings *settings)
{
    double channel = sizeof(struct link) + CHANNEL_BYTES + NAME_BYTES + ALLOCATION_BYTES;
    double client = sizeof(struct connection) + 2 * sizeof(struct timeout *) + PIN_BYTES + NAME_BYTES + 4 * ALLOCATION_BYTES;

    return connections(settings) * (client + (double)settings->subscribe_max_channels * channel);
}

/* Links double. There are no more channels to match than history has room for, and subscribers name. */
static double patterns(const struct settings *settings)
{
    double pattern = sizeof(struct share) + INTEREST_BYTES + 2 * NAME_BYTES + 2 * ALLOCATION_BYTES;
    double least = CHANNEL_BYTES + sizeof(struct entry) + sizeof(struct message) + sizeof(struct buffer);
    double channels = (double)settings->history_bytes / least + (double)settings->hub_max_clients * (double)settings->subscribe_max_channels;
    double links = smaller((double)settings->subscribe_max_matched, channels);

    if (settings->subscribe_max_patterns == 0)
        return 0;
    return connections(settings) * (sizeof(struct watcher) + (double)settings->subscribe_max_patterns * pattern + 2 * sizeof(struct link) * links);
}

/* Text doubles while it grows. */
static double requests(const struct settings *settings)
{
    double body = (double)settings->fastcgi_max_body;
    double request = sizeof(struct fcgi_scanner) + 2 * (FCGI_PARAMS_LIMIT + body);

    return connections(settings) * request + smaller(OFFERS_BYTES, OFFERS_COUNT * body) + body;
}

static double publication(const struct settings *settings)
{
    return (DECODED_GROWTH + ENCODED_GROWTH) * frame_bytes(settings) + (double)settings->publish_max_batch * MESSAGE_BYTES;
}

static double publishers(const struct settings *settings)
{
    double message = (double)settings->publish_max_frame_bytes + ZMQ_MESSAGE_BYTES;

    return (double)settings->publish_max_connections * (ZMQ_PEER_BYTES + ((double)settings->publish_receive_hwm + 1) * message);
}

static const struct {
    const char *what;
    double (*bytes)(const struct settings *settings);
} parts[FOOTPRINT_PARTS] = {
    [FOOTPRINT_PROGRAM] = {"the program", program},
    [FOOTPRINT_HISTORY] = {"history, what slow clients hold, inboxes", history},
    [FOOTPRINT_SNAPSHOT] = {"a snapshot", snapshot},
    [FOOTPRINT_KEYS] = {"idempotency keys", key_bytes},
    [FOOTPRINT_SUBSCRIBERS] = {"subscribers and their channels", subscribers},
    [FOOTPRINT_PATTERNS] = {"subscribers' patterns", patterns},
    [FOOTPRINT_REQUESTS] = {"requests that are being read", requests},
    [FOOTPRINT_PUBLICATION] = {"the publication that is being decoded", publication},
    [FOOTPRINT_PUBLISHERS] = {"what ZeroMQ has read ahead of publishers", publishers},
};

double footprint_part(const struct settings *settings, enum footprint_part part)
{
    return parts[part].bytes(settings) * FRAGMENTATION;
}

double footprint_total(const struct settings *settings)
{
    double total = 0;

    for (int i = 0; i < FOOTPRINT_PARTS; i++)
        total += footprint_part(settings, (enum footprint_part)i);
    return total;
}

static void print(FILE *out, double bytes, const char *what)
{
    fprintf(out, "%14.0f MiB  %s\n", bytes / (1024 * 1024) + 0.5, what);
}

void footprint_print(FILE *out, const struct settings *settings)
{
    fputs("memory with every limit reached, at most (docs/operations.md, \"Sizing\"):\n", out);
    for (int i = 0; i < FOOTPRINT_PARTS; i++)
        print(out, footprint_part(settings, (enum footprint_part)i), parts[i].what);
    print(out, footprint_total(settings), "in all");
}
