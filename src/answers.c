#include "answers.h"

#include "advance.h"
#include "audience.h"
#include "buffer.h"
#include "framing.h"
#include "latest.h"
#include "message.h"
#include "poll.h"
#include "replica.h"
#include "table.h"
#include "watch.h"

#include <stdlib.h>

/* What one look through the channels found. */
struct finding {
    struct text messages;
    struct event_id cursor; /* where the answer leaves the client */
    uint64_t count;
    uint64_t skipped;
    struct audience audience;
};

/*
 * The key is what an answer depends on, besides the messages there are: the bytes of cursor, gap and the named links' channels, in their order, and the
 * text of patterns, in the client's. Links by patterns differ among clients of the same patterns only in channels of which none lacks anything, or
 * the gap says that it does.
 */
struct poll_cache {
    UT_hash_handle hh;
    struct buffer *answer; /* one reference */
    struct finding finding; /* without the messages */
    unsigned key_size;
    char key[];
};

static const char ANSWER_HEADERS[] = "Status: 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n";

static void make_key(struct text *key, const struct subscriber *subscriber)
{
    struct event_id cursor = subscriber->cursor;

    text_append(key, (struct span){(const char *)&cursor, sizeof cursor});
    text_append(key, (struct span){subscriber->poll_gap ? "g" : "-", 1});
    for (uint32_t i = 0; i < watch_named(subscriber); i++)
        text_append(key, (struct span){(const char *)&subscriber_links(subscriber)[i].channel, sizeof(struct channel *)});
    for (uint32_t i = 0; subscriber->is_watcher && i < subscriber->watcher->count; i++) {
        text_append(key, (struct span){"*", 1});
        text_append(key, interest_pattern(subscriber->watcher->shares[i].interest));
        text_append(key, (struct span){"", 1});
    }
}

static struct poll_cache *find(struct replica *replica, const struct subscriber *subscriber, const struct text *key)
{
    struct poll_cache *cached;

    HASH_FIND(hh, replica->answers, key->bytes, key->size, cached);
    return cached && audience_has(&cached->finding.audience, subscriber) ? cached : NULL;
}

static size_t kept_bytes(const struct poll_cache *cached)
{
    return sizeof *cached + cached->key_size + buffer_memory(cached->answer);
}

/* Takes the finding's audience over. Lack of memory only means that the next client has its answer built anew. */
static void remember(struct replica *replica, const struct text *key, struct buffer *answer, struct finding *finding)
{
    struct poll_cache *cached;

    if (replica->answer_bytes >= ANSWERS_KEPT_BYTES)
        answers_forget(replica);
    cached = calloc(1, sizeof *cached + key->size);
    if (!cached)
        return;
    memcpy(cached->key, key->bytes, key->size);
    cached->key_size = (unsigned)key->size;
    HASH_ADD(hh, replica->answers, key, cached->key_size, cached);
    if (!cached->hh.tbl) {
        free(cached);
        return;
    }
    cached->answer = buffer_ref(answer);
    replica->answer_bytes += kept_bytes(cached);
    cached->finding = *finding;
    cached->finding.messages = TEXT_EMPTY;
    finding->audience = AUDIENCE_ALL;
}

static void forget(struct replica *replica, struct poll_cache *cached)
{
    HASH_DEL(replica->answers, cached);
    replica->answer_bytes -= kept_bytes(cached);
    buffer_unref(cached->answer);
    audience_finish(&cached->finding.audience);
    free(cached);
}

void answers_forget(struct replica *replica)
{
    struct poll_cache *cached, *next;

    HASH_ITER(hh, replica->answers, cached, next)
        forget(replica, cached);
}

static struct buffer *entry_answer(struct replica *replica, struct entry *entry)
{
    if (!entry->answer && (entry->answer = poll_encode(entry->message)))
        history_count_bytes(replica, buffer_memory(entry->answer));
    return entry->answer;
}

static void note_found(struct finding *finding, const struct entry *entry, const struct buffer *answer)
{
    if (finding->count++ > 0)
        text_append_string(&finding->messages, ",");
    text_append(&finding->messages, buffer_span(answer));
    finding->cursor = entry->message->id;
    audience_add(&finding->audience, entry);
}

static bool is_full(const struct settings *settings, const struct finding *finding, size_t more)
{
    return finding->count > 0 && (finding->count == (uint64_t)settings->poll_max_messages ||
                                  finding->messages.size + more > (size_t)settings->poll_max_bytes);
}

static void gather(struct replica *replica, struct subscriber *subscriber, struct finding *finding)
{
    struct merge_head *head;

    merge_start(replica, subscriber, subscriber->cursor);
    for (; (head = merge_first(&replica->merge)) != NULL; merge_pass(&replica->merge)) {
        struct buffer *answer;

        if (!advance_is_visible(replica, head->link, head->entry)) {
            audience_hide(&finding->audience, replica, head->entry);
            continue;
        }
        answer = entry_answer(replica, head->entry);
        if (!answer) {
            finding->messages.failed = true;
            return;
        }
        if (is_full(replica->settings, finding, answer->size)) {
            /* What is not for one of the others may be behind the end, and change what comes before it. */
            finding->audience.is_private |= replica->merge.has_latest;
            return;
        }
        note_found(finding, head->entry, answer);
    }
    if (finding->count == 0)
        finding->cursor = event_id_max(finding->cursor, replica->newest);
}

static struct buffer *build(struct subscriber *subscriber, const struct finding *finding)
{
    struct text body = TEXT_EMPTY;
    struct buffer *answer = NULL;
    struct span headers = {ANSWER_HEADERS, sizeof ANSWER_HEADERS - 1};

    poll_append_start(&body, finding->cursor, subscriber->poll_gap);
    text_append(&body, text_span(&finding->messages));
    poll_append_end(&body);
    if (!body.failed && !finding->messages.failed)
        answer = framings[subscriber->framing]->whole(subscriber->request_id, headers, text_span(&body));
    text_finish(&body);
    return answer;
}

/* The answer is as good as sent. */
static void leave_with(struct replica *replica, struct subscriber *subscriber, const struct finding *finding)
{
    subscriber->cursor = finding->cursor;
    replica->metrics->deliveries += finding->count;
    replica->metrics->messages_skipped += finding->skipped;
}

/* `key`: under which to remember it, or NULL. */
static struct buffer *make(struct replica *replica, struct subscriber *subscriber, const struct text *key, bool even_empty,
                           bool *empty)
{
    struct finding finding = {.cursor = subscriber->cursor, .audience = AUDIENCE_ALL};
    struct buffer *answer = NULL;

    gather(replica, subscriber, &finding);
    *empty = finding.count == 0 && !subscriber->poll_gap && !finding.messages.failed && !even_empty;
    if (*empty)
        subscriber->cursor = finding.cursor;
    else
        answer = build(subscriber, &finding);
    if (answer) {
        finding.skipped = latest_skipped(replica, subscriber, subscriber->cursor, finding.cursor);
        leave_with(replica, subscriber, &finding);
        if (key && !finding.audience.is_private)
            remember(replica, key, answer, &finding);
    }
    text_finish(&finding.messages);
    audience_finish(&finding.audience);
    return answer;
}

static bool may_share(const struct subscriber *subscriber)
{
    for (uint32_t i = 0; i < subscriber->link_count; i++)
        if (subscriber_links(subscriber)[i].floor > 0)
            return false;
    return subscriber->request_id == 1;
}

static struct buffer *share(struct replica *replica, struct subscriber *subscriber, struct poll_cache *cached)
{
    leave_with(replica, subscriber, &cached->finding);
    replica->metrics->poll_answers_shared++;
    return buffer_ref(cached->answer);
}

/* Told without a look through the channels: most who come back are up to date. */
static bool has_nothing(struct subscriber *subscriber)
{
    return subscriber->is_single && !subscriber->poll_gap && !subscriber_has_more(subscriber);
}

struct buffer *answers_get(struct replica *replica, struct subscriber *subscriber, bool even_empty, bool *empty)
{
    struct text key = TEXT_EMPTY;
    struct poll_cache *cached;
    struct buffer *answer;

    /* What it lacks it gets with a new permission. */
    if (subscriber_has_expired(replica, subscriber)) {
        *empty = false;
        return build(subscriber, &(struct finding){.cursor = subscriber->cursor});
    }
    *empty = has_nothing(subscriber) && !even_empty;
    if (*empty) {
        subscriber->cursor = event_id_max(subscriber->cursor, replica->newest);
        return NULL;
    }
    if (!may_share(subscriber))
        return make(replica, subscriber, NULL, even_empty, empty);
    make_key(&key, subscriber);
    if (key.failed) {
        text_finish(&key);
        return NULL;
    }
    cached = find(replica, subscriber, &key);
    if (cached && (cached->finding.count > 0 || even_empty || subscriber->poll_gap))
        answer = share(replica, subscriber, cached);
    else
        answer = make(replica, subscriber, cached ? NULL : &key, even_empty, empty);
    text_finish(&key);
    return answer;
}
