/*
 * Lack of memory and descriptors, at every call of src/ that can fail of it, one life of the whole daemon each. First a life without a fault says which calls
 * there are (board.h); then each of them fails in a life of its own, with each error that it can have, and what life.h asks for must hold.
 *
 *   faults                 what fits in FAULTS_SECONDS (40): the first call of each site, then others by chance (FAULTS_SEED)
 *   FAULTS_ALL=1 faults    all
 *   FAULTS_CALL=calloc     of one call alone
 *   FAULTS_JOBS=3          lives at a time: one more than there are processors
 *   faults PHASE WORKERS HASH NUMBER ERROR STREAK   one, as a failure names it, with what the daemon said
 *
 * Prints TAP.
 */
#include "clock.h"
#include "folder.h"
#include "life.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STREAK = 10 }; /* further calls that fail when a lack lasts */
enum { TASKS_MOST = 200000, FAILURES_SHOWN = 400 };

static const char *const phase_names[PHASES] = {"start", "serving", "end"};

struct task {
    enum phase phase;
    int workers;
    struct fault fault;
    uint16_t site;
};

/* Shared by the processes that work on it. */
struct work {
    atomic_uint next;
    unsigned known[PHASES]; /* tasks that there are */
    atomic_uint run[PHASES], not_struck[PHASES], failed[PHASES];
    atomic_bool is_late;
    unsigned count;
    struct task tasks[TASKS_MOST];
};

static struct work *work;
static struct board *boards[2][3]; /* what lives without faults have counted, by workers: of a start with history, and of all that comes later */
static char base[64];           /* the folder of folders */
static char kept[96];           /* a state directory with history, and in kept_id the newest id that a client had */
static char kept_id[64];
static int64_t end_ms;

void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t size);

static void *share(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* --- one life --- */

/* What the log must say for a later life to be short of something. */
static bool has_told_loss(const struct life *life)
{
    static const char *const lines[] = {"no memory for a snapshot", "cannot write history.", "no memory to load", "is damaged", "cannot move",
                                        "connections did not end", "cannot rename", "not enough memory"};

    for (size_t i = 0; life->daemon.log.bytes && i < sizeof lines / sizeof *lines; i++)
        if (memmem(life->daemon.log.bytes, life->daemon.log.size, lines[i], strlen(lines[i])))
            return true;
    return false;
}

static void follow(struct life *life, bool may_gap)
{
    char id[64];

    snprintf(id, sizeof id, "%s", kept_id);
    if (life->heard.size > 0)
        life_last_id(life, id);
    may_gap |= has_told_loss(life);
    text_finish(&life->daemon.log);
    life->daemon = (struct daemon){.pid = -1};
    peer_finish(&life->bystander);
    life_check_next(life, id, may_gap);
}

static bool has_said(const struct life *life, const char *text)
{
    return life->daemon.log.bytes && strstr(life->daemon.log.bytes, text);
}

/* It did not start, and says what lacks. */
static void check_cause(struct life *life, int error)
{
    if (!has_said(life, strerror(error)) && !has_said(life, "memory") && !has_said(life, gai_strerror(EAI_MEMORY)))
        life_blame(life, "it does not start, and does not name what lacks");
}

/* `board` has the fault, or none. True: all that has to hold does. */
static bool live(struct life *life, const char *folder, enum phase phase, int workers, struct board *struck)
{
    life_prepare(life, folder, phase == PHASE_START ? kept : NULL, workers);
    life->board = struck;
    life->patience += struck->fault.streak;
    atomic_store(&struck->phase, PHASE_START);
    if (life_start(life)) {
        if (phase != PHASE_START)
            life_serve(life);
        life_end(life);
    } else {
        check_cause(life, struck->fault.error);
    }
    if (!*life->verdict && phase != PHASE_SERVING)
        follow(life, false);
    return *life->verdict == '\0';
}

static void print_log(const struct life *life)
{
    const char *at = life->daemon.log.bytes, *end = at ? at + strnlen(at, life->daemon.log.size) : NULL;

    while (at && at < end) {
        size_t size = strcspn(at, "\n");

        printf("#     %.*s\n", (int)size, at);
        at += size + 1;
    }
}

static struct board **board_of(enum phase phase, int workers)
{
    return &boards[phase != PHASE_START][workers];
}

static const struct site *site_of(const struct task *task)
{
    return &(*board_of(task->phase, task->workers))->sites[task->site];
}

static void print_failure(const struct task *task, const struct life *life, bool with_log)
{
    const struct site *site = site_of(task);
    char place[256];

    printf("# %s: %s fails with %s in %s (%d workers)\n", life->verdict, site->call, strerrorname_np(task->fault.error), phase_names[task->phase],
           task->workers);
    for (int i = 0; i < BOARD_FRAMES && site->frames[i]; i++) {
        __sanitizer_symbolize_pc((void *)(site->frames[i] - 1), "%s:%l %f", place, sizeof place);
        printf("#   %s\n", place);
    }
    printf("#   again: build/check/faults/faults %d %d %lx %u %d %u\n", (int)task->phase, task->workers, task->fault.hash, task->fault.number, task->fault.error,
           task->fault.streak);
    if (with_log)
        print_log(life);
}

/* --- many lives --- */

static void run_task(const struct task *task, unsigned number, struct board *struck, bool is_alone)
{
    struct life life;
    char folder[96];

    int64_t began_ms = clock_monotonic_ms();
    snprintf(folder, sizeof folder, "%s/%u", base, number);
    memset(struck, 0, sizeof *struck);
    struck->fault = task->fault;
    if (!live(&life, folder, task->phase, task->workers, struck)) {
        if (atomic_fetch_add(&work->failed[task->phase], 1) < FAILURES_SHOWN || is_alone)
            print_failure(task, &life, is_alone || getenv("FAULTS_LOG"));
    } else if (getenv("FAULTS_TIME")) {
        printf("# %lld ms phase %d %lx\n", (long long)(clock_monotonic_ms() - began_ms), task->phase, task->fault.hash);
    } else if (is_alone) {
        print_log(&life);
    }
    atomic_fetch_add(&work->run[task->phase], 1);
    if (!atomic_load(&struck->is_struck))
        atomic_fetch_add(&work->not_struck[task->phase], 1);
    life_finish(&life);
    folder_remove(folder);
}

static void work_through(void)
{
    struct board *struck = share(sizeof *struck);
    unsigned number;

    while (struck && (number = atomic_fetch_add(&work->next, 1)) < work->count) {
        if (end_ms > 0 && clock_monotonic_ms() > end_ms)
            break;
        run_task(&work->tasks[number], number, struck, false);
    }
    _exit(0);
}

static void work_together(void)
{
    const char *jobs = getenv("FAULTS_JOBS");

    for (long i = jobs ? atol(jobs) : sysconf(_SC_NPROCESSORS_ONLN) + 1; i > 0; i--)
        if (fork() == 0)
            work_through();
    while (wait(NULL) > 0)
        ;
}

/* --- what there is to do --- */

/* A life that only counts. The first leaves a folder for those that start with history. */
static bool count_calls(enum phase phase, int workers)
{
    struct board *counted = *board_of(phase, workers) = share(sizeof *counted);
    struct life life;
    char folder[96];
    bool is_good;

    snprintf(folder, sizeof folder, "%s/counted-%d-%s", base, workers, phase_names[phase]);
    is_good = counted && live(&life, folder, phase, workers, counted);
    if (!is_good) {
        printf("# a life without faults, %d workers: %s\n", workers, life.verdict);
        print_log(&life);
    } else if (!*kept) {
        life_last_id(&life, kept_id);
        snprintf(kept, sizeof kept, "%s", folder);
    }
    life_finish(&life);
    return is_good;
}

static unsigned long next_random(void)
{
    static unsigned long state;

    if (state == 0) {
        const char *given = getenv("FAULTS_SEED");

        state = given ? strtoul(given, NULL, 10) : (unsigned long)clock_wall_ms() % 1000000007;
        printf("# FAULTS_SEED=%lu\n", state);
        state |= 1UL << 40;
    }
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void add(const struct task *task)
{
    if (work->count == TASKS_MOST)
        return;
    work->tasks[work->count++] = *task;
    work->known[task->phase]++;
}

static void shuffle(unsigned from)
{
    for (unsigned i = work->count; i > from + 1; i--) {
        unsigned other = from + (unsigned)(next_random() % (i - from));
        struct task task = work->tasks[i - 1];

        work->tasks[i - 1] = work->tasks[other];
        work->tasks[other] = task;
    }
}

/* Of each site the first call with its first error; or all the others, and the first with further ones behind it. */
static void list_calls(const struct task *of, const struct site *site, bool the_first)
{
    const char *only = getenv("FAULTS_CALL");
    unsigned calls = atomic_load(&site->calls);
    struct task task = *of;

    if (only && strcmp(only, site->call) != 0)
        return;
    if (!the_first) {
        task.fault.streak = STREAK;
        task.fault.error = site->errors[0];
        add(&task);
        task.fault.streak = 0;
    }

    for (task.fault.number = 0; task.fault.number < calls; task.fault.number++)
        for (const int *error = site->errors; *error; error++) {
            task.fault.error = *error;
            if (the_first == (task.fault.number == 0 && error == site->errors))
                add(&task);
        }
}

static void list_tasks(int workers, bool the_first)
{
    for (int phase = 0; phase < PHASES; phase++)
        for (uint16_t i = 0; i < BOARD_SITES; i++) {
            const struct site *site = &(*board_of((enum phase)phase, workers))->sites[i];

            if (atomic_load(&site->hash) != 0 && (int)site->phase == phase)
                list_calls(&(struct task){(enum phase)phase, workers, {.hash = atomic_load(&site->hash)}, i}, site, the_first);
        }
}

static bool tell(void)
{
    bool all_good = true;

    printf("1..%d\n", PHASES);
    for (int i = 0; i < PHASES; i++) {
        bool is_good = work->failed[i] == 0 && (work->run[i] > 0 || work->known[i] == 0);

        printf("%s %d - faults while it is in the phase `%s`: %u lives, %u did not come to the call, %u failed\n", is_good ? "ok" : "not ok", i + 1,
               phase_names[i], work->run[i], work->not_struck[i], work->failed[i]);
        all_good &= is_good;
    }
    return all_good;
}

static void run_one(char **words)
{
    struct task task = {(enum phase)atoi(words[1]), atoi(words[2]), {strtoul(words[3], NULL, 16), (unsigned)atoi(words[4]), (unsigned)atoi(words[6]), atoi(words[5])}, 0};
    struct board *struck = share(sizeof *struck);

    for (uint16_t i = 0; i < BOARD_SITES; i++)
        if (atomic_load(&(*board_of(task.phase, task.workers))->sites[i].hash) == task.fault.hash)
            task.site = i;
    run_task(&task, 0, struck, true);
    printf("# the call %s\n", struck->is_struck ? "failed" : "was never made");
}

static bool run_many(void)
{
    const char *seconds = getenv("FAULTS_SECONDS");
    unsigned firsts;

    list_tasks(1, true);
    list_tasks(2, true);
    shuffle(0);
    firsts = work->count;
    list_tasks(1, false);
    list_tasks(2, false);
    shuffle(firsts);
    printf("# %u faults, of them %u first calls of their site\n", work->count, firsts);
    if (!getenv("FAULTS_ALL"))
        end_ms = clock_monotonic_ms() + (seconds ? atoi(seconds) : 40) * 1000;
    work_together();
    return tell();
}

int main(int argc, char **argv)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    bool is_good;

    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    work = share(sizeof *work);
    snprintf(base, sizeof base, "%s/sidecast-faults-XXXXXX", folder);
    if (!work || !mkdtemp(base))
        return 1;
    is_good = count_calls(PHASE_END, 1) && count_calls(PHASE_START, 1) && count_calls(PHASE_END, 2) && count_calls(PHASE_START, 2);
    if (is_good && argc == 7)
        run_one(argv);
    else if (is_good)
        is_good = run_many();
    folder_remove(base);
    return is_good ? 0 : 1;
}
