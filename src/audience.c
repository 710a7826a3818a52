#include "audience.h"

#include "message.h"
#include "replica.h"

void audience_finish(struct audience *audience)
{
    if (audience->excepts.bytes)
        text_finish(&audience->excepts);
    *audience = AUDIENCE_ALL;
}

void audience_add(struct audience *audience, const struct entry *entry)
{
    const struct message *message = entry->message;

    if (!message->store && entry->number - 1 < audience->for_joined)
        audience->for_joined = entry->number - 1;
    if (message->except_size == 0)
        return;
    text_append(&audience->excepts, (struct span){"", 1});
    text_append(&audience->excepts, message_except(message));
    text_append(&audience->excepts, (struct span){"", 1});
    audience->is_private |= audience->excepts.failed;
}

void audience_hide(struct audience *audience, const struct replica *replica, const struct entry *entry)
{
    audience->is_private |= entry->message->expires_ms > replica->now_ms;
}

bool audience_excepts(const struct audience *audience, const char *client)
{
    char needle[NAME_MAX_BYTES + 2] = "";
    size_t size;

    if (!client)
        return false;
    size = strlen(client);
    memcpy(needle + 1, client, size + 1);
    return memmem(audience->excepts.bytes, audience->excepts.size, needle, size + 2) != NULL;
}
