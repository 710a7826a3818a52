/*
 * offer: owned by one side at a time: the worker until it is handed over, the hub's queue, the inbox, and the worker again, which frees it. What crosses threads
 * does so under the locks of queue and inbox; only the claim is looked at by both.
 */
#include "offer.h"

#include "hub.h"

#include <stdlib.h>

struct offer *offer_create_take(struct post *post, struct inbox *inbox, struct connection *connection)
{
    struct offer *offer = calloc(1, sizeof *offer);

    if (!offer) {
        post_finish(post);
        return NULL;
    }
    offer->post = *post;
    *post = (struct post){0};
    offer->inbox = inbox;
    offer->connection = connection;
    return offer;
}

void offer_destroy(struct offer *offer)
{
    if (!offer)
        return;
    post_finish(&offer->post);
    text_finish(&offer->ids);
    text_finish(&offer->errors);
    free(offer);
}

void offer_leave(struct offer *offer)
{
    if (offer)
        offer->connection = NULL;
}

bool offer_claim(struct offer *offer)
{
    return !atomic_exchange(&offer->is_claimed, true);
}

/* --- publishing --- */

static void note_ids(struct offer *offer, const struct hub_answer *answer)
{
    char id[EVENT_ID_TEXT];

    for (size_t i = 0; i < answer->id_count; i++) {
        event_id_format(answer->ids[i], id);
        text_append_format(&offer->ids, "%s\"%s\"", offer->ids.size > 0 ? "," : "", id);
    }
    offer->published++;
}

static void note_fault(struct offer *offer, const struct hub_answer *answer)
{
    text_append_string(&offer->ids, offer->ids.size > 0 ? ",null" : "null");
    text_append_format(&offer->errors, "%s{\"item\":%zu,\"error\":\"%s\",\"message\":", offer->errors.size > 0 ? "," : "", offer->item_count, answer->code);
    text_append_json(&offer->errors, span_of(answer->reason));
    text_append_string(&offer->errors, "}");
    if (offer->code)
        return;
    offer->code = answer->code;
    offer->reason = answer->reason;
}

static void note(void *context, const struct hub_answer *answer)
{
    struct offer *offer = context;

    if (answer->id_count > 0)
        note_ids(offer, answer);
    else
        note_fault(offer, answer);
    offer->item_count++;
}

/* The permission was given for what the document said with the key of then. */
static bool means_the_same(const struct offer *offer, const struct hub *hub)
{
    return !offer->post.checked_key || strcmp(offer->post.checked_key, hub->settings->publish_channel_key) == 0;
}

static void publish(struct offer *offer, struct hub *hub)
{
    struct hub_receipt receipt = {note, offer};
    struct span frames[POST_FRAMES_MAX];

    if (!means_the_same(offer, hub)) {
        note(offer, &(struct hub_answer){.code = "unavailable", .reason = "The configuration changed meanwhile; send it again."});
        return;
    }
    for (size_t i = 0; i < post_message_count(&offer->post); i++)
        hub_take_frames(hub, frames, post_frames(&offer->post, i, frames), &receipt);
}

/* Its place in the inbox stays reserved: for each message the hub reserves one more behind it. */
void offer_publish_take(struct offer *offer, struct hub *hub)
{
    if (!offer_claim(offer)) {
        offer_destroy(offer);
        return;
    }
    publish(offer, hub);
    hub_flush(hub);
    inbox_put_take(offer->inbox, &(struct inbox_item){.offer = offer, .is_offer = true}, 1);
}

void offer_append_answer(struct text *json, const struct offer *offer)
{
    text_append_string(json, "{\"ids\":[");
    text_append(json, text_span(&offer->ids));
    text_append_string(json, "]");
    if (offer->errors.size > 0) {
        text_append_string(json, ",\"errors\":[");
        text_append(json, text_span(&offer->errors));
        text_append_string(json, "]");
    }
    text_append_string(json, "}\n");
    json->failed |= offer->ids.failed || offer->errors.failed;
}
