#include "hub.h"

#include "message.h"
#include "snapshot.h"
#include "sse.h"

#include <assert.h>

void hub_init(struct hub *hub, const struct settings *settings, struct event_id newest, struct inbox **inboxes, size_t inbox_count)
{
    *hub = (struct hub){.settings = settings, .newest = newest, .inboxes = inboxes, .inbox_count = inbox_count};
    keys_init(&hub->keys);
}

void hub_finish(struct hub *hub)
{
    assert(hub->batch_count == 0);
    keys_finish(&hub->keys);
}

void hub_restore(struct hub *hub, const struct snapshot *snapshot)
{
    keys_restore(&hub->keys, snapshot);
    keys_trim(&hub->keys, INT64_MIN, (size_t)hub->settings->publish_max_keys);
    atomic_store(&hub->published, snapshot->message_count);
}

bool hub_has_room(struct hub *hub)
{
    for (size_t i = 0; i < hub->inbox_count; i++)
        if (!inbox_has_room(hub->inboxes[i], hub->batch_count + 1))
            return false;
    return true;
}

uint64_t hub_published(struct hub *hub)
{
    return atomic_load_explicit(&hub->published, memory_order_acquire);
}

static bool is_duplicate(struct hub *hub, const struct publication *publication, struct event_id *id)
{
    const struct settings *settings = hub->settings;

    if (publication->key.size == 0)
        return false;
    keys_trim(&hub->keys, hub->now_ms - settings->publish_key_window, (size_t)settings->publish_max_keys);
    return keys_find(&hub->keys, publication->channel, publication->key, id);
}

static struct message *make_message(struct hub *hub, const struct publication *publication, struct event_id id)
{
    struct message_names names = {publication->channel, publication->event, publication->except};
    struct message *message = sse_encode_message(id, &names, publication->data);

    if (!message)
        return NULL;
    message->store = publication->store;
    message->ingest_ms = hub->now_ms;
    if (publication->ttl_ms > 0)
        message->expires_ms = hub->now_ms + publication->ttl_ms;
    return message;
}

/* For one message more, and one place behind it: for the offer that it came with, if it did (offer.h). */
static bool reserve(struct hub *hub)
{
    for (size_t i = 0; i < hub->inbox_count; i++)
        if (!inbox_reserve(hub->inboxes[i], hub->batch_count + 2))
            return false;
    return true;
}

/* The number is raised first: from then on no worker decides a request without these messages. */
void hub_flush(struct hub *hub)
{
    if (hub->batch_count == 0)
        return;
    atomic_fetch_add_explicit(&hub->published, hub->batch_count, memory_order_release);
    for (size_t i = 0; i < hub->inbox_count; i++)
        inbox_put_take(hub->inboxes[i], hub->batch, hub->batch_count);
    hub->batch_count = 0;
    hub->batch_bytes = 0;
}

/* Takes the one reference over; each inbox gets one. */
static void hand_on_take(struct hub *hub, struct message *message)
{
    message_share(message, (unsigned)hub->inbox_count);
    hub->batch[hub->batch_count++] = (struct inbox_item){.message = message};
    hub->batch_bytes += buffer_memory(message->encoded);
    if (hub->batch_count == HUB_BATCH || hub->batch_bytes >= HUB_BATCH_BYTES)
        hub_flush(hub);
}

static bool remember_key(struct hub *hub, const struct publication *publication, struct event_id id)
{
    if (publication->key.size == 0)
        return true;
    keys_trim(&hub->keys, INT64_MIN, (size_t)hub->settings->publish_max_keys - 1);
    return keys_add(&hub->keys, publication->channel, publication->key, id, hub->now_ms);
}

static enum hub_result take(struct hub *hub, const struct publication *publication, struct event_id *id)
{
    struct message *message;

    if (is_duplicate(hub, publication, id)) {
        hub->metrics.messages_duplicate++;
        return HUB_DUPLICATE;
    }
    *id = event_id_next(hub->newest, hub->wall_ms);
    message = reserve(hub) ? make_message(hub, publication, *id) : NULL;
    if (!message || !remember_key(hub, publication, *id)) {
        message_unref(message);
        hub->metrics.dropped_no_memory++;
        log_limited(&hub->rejected, hub->now_ms, LOG_WARNING, "publication dropped: not enough memory");
        return HUB_NO_MEMORY;
    }
    hub->newest = *id;
    hub->metrics.messages_published++;
    hand_on_take(hub, message);
    return HUB_PUBLISHED;
}

enum hub_result hub_publish(struct hub *hub, const struct publication *publication, struct event_id *id)
{
    enum hub_result result = take(hub, publication, id);

    hub_flush(hub);
    return result;
}

static uint64_t *drop_counter(struct metrics *metrics, enum wire_error error)
{
    switch (error) {
    case WIRE_BAD_FRAMES: return &metrics->dropped_bad_frames;
    case WIRE_BAD_JSON: return &metrics->dropped_bad_json;
    case WIRE_BAD_OPTION: return &metrics->dropped_bad_option;
    case WIRE_BAD_CHANNEL: return &metrics->dropped_bad_channel;
    case WIRE_BAD_DATA: return &metrics->dropped_bad_data;
    case WIRE_TOO_LARGE: return &metrics->dropped_too_large;
    case WIRE_NO_MEMORY: break;
    }
    return &metrics->dropped_no_memory;
}

static void publish(void *context, const struct publication *publication)
{
    struct event_id id;

    (void)take(context, publication, &id);
}

static void reject(void *context, enum wire_error error, const char *reason)
{
    struct hub *hub = context;

    ++*drop_counter(&hub->metrics, error);
    log_limited(&hub->rejected, hub->now_ms, LOG_WARNING, "publication dropped: %s", reason);
}

/* --- for who wants to know --- */

struct taking {
    struct hub *hub;
    const struct hub_receipt *receipt;
    bool is_answered;
    bool is_short; /* one of the item's messages could not be made */
    size_t id_count;
    struct event_id *ids; /* WIRE_MAX_CHANNELS; of the item so far */
};

static void answer(struct taking *taking, struct hub_answer found)
{
    taking->is_answered = true;
    taking->receipt->item(taking->receipt->context, &found);
}

static void publish_and_tell(void *context, const struct publication *publication)
{
    struct taking *taking = context;

    if (take(taking->hub, publication, &taking->ids[taking->id_count++]) == HUB_NO_MEMORY)
        taking->is_short = true;
    if (publication->more)
        return;
    if (taking->is_short)
        answer(taking, (struct hub_answer){.code = wire_error_code(WIRE_NO_MEMORY), .reason = "not enough memory"});
    else
        answer(taking, (struct hub_answer){.ids = taking->ids, .id_count = taking->id_count});
    taking->id_count = 0;
    taking->is_short = false;
}

static void reject_and_tell(void *context, enum wire_error error, const char *reason)
{
    struct taking *taking = context;

    reject(taking->hub, error, reason);
    answer(taking, (struct hub_answer){.code = wire_error_code(error), .reason = reason});
}

static void decode_and_tell(struct taking *taking, const struct span *frames, size_t count, const struct wire_limits *limits)
{
    struct wire_sink sink = {publish_and_tell, reject_and_tell, taking};

    wire_decode(frames, count, limits, &sink);
    if (!taking->is_answered) /* nothing that is dropped, but nothing that has an id either */
        answer(taking, (struct hub_answer){.code = wire_error_code(WIRE_BAD_JSON), .reason = "a batch must have at least one item"});
}

void hub_take_frames(struct hub *hub, const struct span *frames, size_t count, const struct hub_receipt *receipt)
{
    const struct settings *settings = hub->settings;
    struct wire_limits limits = {
        .max_bytes = (size_t)settings->publish_max_bytes,
        .channel_key = settings->publish_channel_key,
        .max_batch = (size_t)settings->publish_max_batch,
        .max_batch_bytes = (size_t)settings->publish_max_frame_bytes,
    };
    struct wire_sink sink = {publish, reject, hub};

    if (receipt) {
        struct event_id ids[WIRE_MAX_CHANNELS];

        decode_and_tell(&(struct taking){.hub = hub, .receipt = receipt, .ids = ids}, frames, count, &limits);
    } else {
        wire_decode(frames, count, &limits, &sink);
    }
}
