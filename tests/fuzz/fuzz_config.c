/* Any bytes as a configuration file, and as one argument of the command line: an error or whole settings, never both. */
#include "config.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good, struct settings *settings, const struct config_error *error)
{
    assert(good == !error->message[0]);
    if (!good)
        return;
    assert(settings->fastcgi_listen.count > 0 && settings->sse_heartbeat_text[0] == ':');
    for (size_t i = 0; i < settings->rule_count; i++)
        assert(settings->rules[i].match.count > 0 && settings->rules[i].policy.pace_ms >= 0);
    config_finish(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *argument = strndup((const char *)data, size);
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
    struct settings settings;
    struct config_error error;

    check(config_read(&settings, file, "fuzz", NULL, &error), &settings, &error);
    check(config_read(&settings, NULL, NULL, (char *[]){argument, NULL}, &error), &settings, &error);
    if (file)
        fclose(file);
    free(argument);
    return 0;
}
