#include "options.h"
#include "check.h"

#include <err.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum { HTTP_PUBLISHERS = 4 };

static const struct option NAMES[] = {
    {"mode", required_argument, NULL, 'M'},       {"listen", required_argument, NULL, 'l'},
    {"framing", required_argument, NULL, 'f'},    {"path", required_argument, NULL, 'a'},
    {"poll", required_argument, NULL, 'o'},       {"ids-rise", no_argument, NULL, 'I'},
    {"publish", required_argument, NULL, 'p'},    {"publishers", required_argument, NULL, 'P'},
    {"pid", required_argument, NULL, 'i'},        {"own-pid", required_argument, NULL, 'O'},
    {"clients", required_argument, NULL, 'c'},    {"unanswered", required_argument, NULL, 'u'},
    {"stuck", required_argument, NULL, 'k'},      {"channels", required_argument, NULL, 'n'},
    {"per-client", required_argument, NULL, 'N'}, {"idle", required_argument, NULL, 'd'},
    {"rate", required_argument, NULL, 'r'},       {"step", required_argument, NULL, 'S'},
    {"seconds", required_argument, NULL, 't'},    {"size", required_argument, NULL, 's'},
    {"messages", required_argument, NULL, 'm'},   {"warm", required_argument, NULL, 'w'},
    {"bursts", required_argument, NULL, 'b'},     {NULL, 0, NULL, 0},
};

static uint64_t number_of(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);

    if (*end || end == text)
        errx(2, "%s: not a number", text);
    return number;
}

/* Which of the words `text` is: words are terminated one by one, the last by an empty one. */
static int word_of(const char *words, const char *text)
{
    for (int i = 0; *words; i++, words += strlen(words) + 1)
        if (strcmp(words, text) == 0)
            return i;
    errx(2, "%s: not known", text);
}

static void add_process(struct process_set *set, const char *text)
{
    if (set->count == PROCESS_MAX)
        errx(2, "too many processes");
    set->ids[set->count++] = (pid_t)number_of(text);
}

static void set_option(struct options *options, int letter, const char *value)
{
    switch (letter) {
    case 'M': options->mode = (enum mode)word_of("measure\0ramp\0ingest\0burst\0", value); return;
    case 'l': options->listen = value; return;
    case 'f': options->framing = (enum framing_kind)word_of("fastcgi\0http\0", value); return;
    case 'a': options->path = value; return;
    case 'o': options->poll = (enum poll_kind)word_of("no\0json\0headers\0", value); return;
    case 'I': options->ids_rise = true; return;
    case 'p': options->publish = value; return;
    case 'P': options->publishers = number_of(value); return;
    case 'i': add_process(&options->server, value); return;
    case 'O': add_process(&options->own, value); return;
    case 'c': options->clients = number_of(value); return;
    case 'u': options->unanswered = number_of(value); return;
    case 'k': options->stuck = number_of(value); return;
    case 'n': options->channels = number_of(value); return;
    case 'N': options->per_client = number_of(value); return;
    case 'd': options->idle = number_of(value); return;
    case 'r': options->rate = atof(value); return;
    case 'S': options->step = atof(value); return;
    case 't': options->seconds = atof(value); return;
    case 's': options->size = number_of(value); return;
    case 'm': options->messages = number_of(value); return;
    case 'w': options->warm = number_of(value); return;
    case 'b': options->bursts = number_of(value); return;
    default: exit(2);
    }
}

static void check_options(const struct options *options)
{
    if (!options->listen || !options->publish || options->server.count == 0)
        errx(2, "--listen, --publish and --pid are needed");
    if (options->size < CHECK_PAYLOAD_MIN || options->size > CHECK_PAYLOAD_MAX)
        errx(2, "--size is %d to %d", CHECK_PAYLOAD_MIN, CHECK_PAYLOAD_MAX);
    if (options->per_client == 0 || options->channels == 0 || options->channels % options->per_client != 0)
        errx(2, "--channels is a multiple of --per-client");
    if (options->stuck > 0 && options->stuck * 2 > options->clients)
        errx(2, "--stuck is at most half of --clients");
    if (options->framing == FRAMING_HTTP && (!options->path || options->per_client != 1 || options->idle != 0))
        errx(2, "HTTP needs --path, and takes one channel per client");
    if (options->poll != POLL_NOT && options->framing != FRAMING_HTTP)
        errx(2, "polls are asked by HTTP");
    if (options->bursts == 0 || options->unanswered == 0 || options->step <= 1 || options->seconds <= 0)
        errx(2, "--bursts and --unanswered are at least 1, --step above 1, --seconds above 0");
}

void options_parse(struct options *options, int argc, char **argv)
{
    int letter;

    *options = (struct options){
        .clients = 1000,
        .unanswered = 256,
        .channels = 1,
        .per_client = 1,
        .rate = 5,
        .size = 200,
        .messages = 20,
        .warm = 5,
        .bursts = 9,
        .step = 1.5,
        .seconds = 2,
    };
    while ((letter = getopt_long(argc, argv, "", NAMES, NULL)) >= 0)
        set_option(options, letter, optarg);
    if (optind < argc)
        errx(2, "%s: not an option", argv[optind]);
    check_options(options);
    /* By HTTP a publisher waits for its answer before it sends the next: one would be slower than the server. */
    if (options->publishers == 0)
        options->publishers = strncmp(options->publish, "http:", 5) == 0 ? HTTP_PUBLISHERS : 1;
}
