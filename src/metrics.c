#include "metrics.h"

#include "log.h"
#include "text.h"

#include <inttypes.h>

static void append_metric(struct text *line, const char *name, uint64_t value)
{
    if (value > 0)
        text_append_format(line, " %s=%" PRIu64, name, value);
}

void metrics_add(struct metrics *sum, const struct metrics *more)
{
#define METRIC_ADD(name, kind, help) sum->name += more->name;
    METRICS(METRIC_ADD)
#undef METRIC_ADD
}

void metrics_log(const struct metrics *metrics)
{
    struct text line = TEXT_EMPTY;

#define METRIC_APPEND(name, kind, help) append_metric(&line, #name, metrics->name);
    METRICS(METRIC_APPEND)
#undef METRIC_APPEND
    if (line.failed)
        log_write(LOG_WARNING, "metrics: no memory");
    else
        log_write(LOG_NOTICE, "metrics%.*s", (int)line.size, line.size ? line.bytes : "");
    text_finish(&line);
}
