#include "state.h"

#include "clock.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RESERVE_MS = 10000, /* ahead of the clock */
    MARGIN_MS = 2000,   /* less than this left: reserve anew */
};

static void path_of(const struct state *state, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", state->folder, name);
}

static bool write_file(const char *path, uint64_t reserved_ms)
{
    FILE *file = fopen(path, "we");
    bool written;

    if (!file)
        return false;
    written = fprintf(file, "%" PRIu64 "\n", reserved_ms) > 0;
    return fclose(file) == 0 && written;
}

/* A reader finds the old number or the new one, never half of one. */
static bool replace_file(const struct state *state, uint64_t reserved_ms)
{
    char path[PATH_MAX], temporary[PATH_MAX];

    path_of(state, "next-id", path);
    path_of(state, "next-id.new", temporary);
    return write_file(temporary, reserved_ms) && rename(temporary, path) == 0;
}

/* A number that a line holds alone. One that leaves no ids above it is not ours either. */
static bool read_number(FILE *file, uint64_t *number)
{
    char line[32], *end;

    if (!fgets(line, sizeof line, file) || line[0] < '0' || line[0] > '9')
        return false;
    errno = 0;
    *number = strtoull(line, &end, 10);
    return errno == 0 && strcmp(end, "\n") == 0 && *number <= INT64_MAX;
}

static bool read_file(const struct state *state, uint64_t *reserved_ms, char *error, size_t size)
{
    char path[PATH_MAX];
    FILE *file;
    bool found;

    *reserved_ms = 0;
    path_of(state, "next-id", path);
    file = fopen(path, "re");
    if (!file && errno == ENOENT)
        return true;
    if (!file) {
        snprintf(error, size, "cannot read %s: %s", path, strerror(errno));
        return false;
    }
    found = read_number(file, reserved_ms);
    fclose(file);
    if (!found)
        snprintf(error, size, "%s: expected one number, milliseconds since 1970; remove the file to start without", path);
    return found;
}

bool state_init(struct state *state, const char *folder, uint64_t wall_ms, struct event_id *start, char *error, size_t size)
{
    uint64_t before_ms;

    *state = (struct state){.folder = folder};
    *start = (struct event_id){wall_ms, 0};
    if (folder[0] == '\0')
        return true;
    if (!read_file(state, &before_ms, error, size))
        return false;
    if (before_ms > wall_ms)
        start->ms = before_ms;
    state->reserved_ms = start->ms + RESERVE_MS;
    if (!replace_file(state, state->reserved_ms)) {
        snprintf(error, size, "cannot write to hub.state_dir %s: %s", folder, strerror(errno));
        return false;
    }
    return true;
}

void state_reserve(struct state *state, struct event_id newest, uint64_t wall_ms)
{
    uint64_t now_ms = newest.ms > wall_ms ? newest.ms : wall_ms;

    if (state->folder[0] == '\0' || now_ms + MARGIN_MS < state->reserved_ms)
        return;
    if (replace_file(state, now_ms + RESERVE_MS))
        state->reserved_ms = now_ms + RESERVE_MS;
    else
        log_limited(&state->log_limit, clock_monotonic_ms(), LOG_ERROR, "cannot write to hub.state_dir %s: %s", state->folder,
                    strerror(errno));
}
