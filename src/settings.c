#include "settings.h"

#include "pattern.h"

bool settings_list_matches(const struct string_list *patterns, struct span name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (pattern_matches(span_of(patterns->items[i]), name))
            return true;
    return false;
}

struct channel_policy settings_channel_policy(const struct settings *settings, struct span name)
{
    for (size_t i = 0; i < settings->rule_count; i++)
        if (settings_list_matches(&settings->rules[i].match, name))
            return settings->rules[i].policy;
    return (struct channel_policy){
        .messages = settings->history_messages,
        .age_ms = settings->history_age,
        .keep_ms = settings->history_keep,
        .pace_ms = settings->hub_pace,
        .slow = settings->slow_policy,
    };
}
