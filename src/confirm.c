/*
 * Replies. What the hub says of each item is gathered as lines, since nobody may hear of an id before the inboxes have its message, and memory may
 * lack: a reply that was begun has to be ended, or the next one would be taken for its rest.
 */
#include "confirm.h"

#include "hub.h"
#include "text.h"

#include <errno.h>

static void note(void *context, const struct hub_answer *answer)
{
    struct text *lines = context;
    char id[EVENT_ID_TEXT];

    if (answer->id_count == 0)
        text_append_format(lines, "error %s %s", answer->code, answer->reason);
    else
        text_append_string(lines, "ok");
    for (size_t i = 0; i < answer->id_count; i++) {
        text_append_string(lines, " ");
        text_append(lines, (struct span){id, event_id_format(answer->ids[i], id)});
    }
    text_append_string(lines, "\n");
}

/* Leaves the frame empty. Never waits: the socket has no high-water mark, and what is for nobody any more is thrown away. */
static void send_frame(void *socket, zmq_msg_t *frame, bool more)
{
    int result;

    do
        result = zmq_msg_send(frame, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0));
    while (result < 0 && errno == EINTR);
    if (result < 0) {
        zmq_msg_close(frame);
        zmq_msg_init(frame);
    }
}

/* False: there is no memory for the text, and the frame says so. */
static bool send_text(void *socket, struct span text, bool more)
{
    static const struct span NO_MEMORY = {"error no_memory", sizeof "error no_memory" - 1}; /* short enough to need none */
    zmq_msg_t frame;
    bool is_whole = zmq_msg_init_size(&frame, text.size) == 0;

    if (!is_whole) {
        text = NO_MEMORY;
        (void)zmq_msg_init_size(&frame, text.size);
    }
    if (text.size > 0)
        memcpy(zmq_msg_data(&frame), text.bytes, text.size);
    send_frame(socket, &frame, more);
    return is_whole;
}

static bool send_lines(void *socket, struct span lines)
{
    bool is_whole = true;

    while (lines.size > 0) {
        const char *end = memchr(lines.bytes, '\n', lines.size);
        struct span line = {lines.bytes, (size_t)(end - lines.bytes)};

        lines = (struct span){end + 1, lines.size - line.size - 1};
        is_whole &= send_text(socket, line, lines.size > 0);
    }
    return is_whole;
}

/* What was said of the items, or that memory lacked to say it. */
static bool send_answer(void *socket, const struct text *lines)
{
    if (!lines->failed)
        return send_lines(socket, text_span(lines));
    (void)send_text(socket, span_of("error no_memory not enough memory for the answer"), false);
    return false;
}

void confirm_take(struct hub *hub, struct intake *intake, struct intake_message *message)
{
    bool is_delimited = message->count > 1 && message->spans[1].size == 0;
    size_t head = is_delimited ? 2 : 1; /* the routing id comes first */
    struct text lines = TEXT_EMPTY;
    struct hub_receipt receipt = {note, &lines};

    hub_take_frames(hub, message->spans + head, message->count - head, &receipt);
    hub_flush(hub);
    send_frame(intake->socket, &message->frames[0], true);
    if (is_delimited)
        (void)send_text(intake->socket, (struct span){"", 0}, true);
    if (!send_answer(intake->socket, &lines)) {
        hub->metrics.confirmations_short++;
        log_limited(&hub->rejected, hub->now_ms, LOG_WARNING, "no memory for the answer to who publishes: no_memory is answered");
    }
    hub->metrics.confirmations++;
    text_finish(&lines);
}
