/*
 * Files of snapshots, and the thread that writes them. Whatever goes wrong is logged once and costs the one snapshot; only what would make a later life
 * believe a snapshot wrongly stops the start.
 */
#include "archive.h"

#include "clock.h"
#include "log.h"
#include "snapshot.h"
#include "snapshot_form.h"
#include "snapshot_reader.h"
#include "snapshot_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char COMPLETE[] = "history.complete";
static const char LATEST[] = "history.snapshot";
static const char DAMAGED[] = "history.damaged";
static const char NEW[] = "history.new";

enum { READ_BYTES = 1024 * 1024 };

/* --- beginning and end --- */

bool archive_open(struct archive *archive, const char *folder, char *error, size_t size)
{
    *archive = (struct archive){.folder = folder, .fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (archive->fd < 0) {
        snprintf(error, size, "cannot open hub.state_dir %s: %s", folder, strerror(errno));
        goto failed;
    }
    if (flock(archive->fd, LOCK_EX | LOCK_NB) < 0) {
        snprintf(error, size, "cannot lock hub.state_dir %s: %s", folder,
                 errno == EWOULDBLOCK ? "another sidecast is running with it" : strerror(errno));
        close(archive->fd);
        goto failed;
    }
    pthread_mutex_init(&archive->lock, NULL);
    return true;
failed:
    *archive = (struct archive){0};
    return false;
}

void archive_close(struct archive *archive)
{
    if (!archive->folder)
        return;
    archive_wait(archive);
    close(archive->fd);
    pthread_mutex_destroy(&archive->lock);
    *archive = (struct archive){0};
}

/* --- reading --- */

/* Bytes of a file that were not taken yet. */
struct input {
    int fd;
    char *bytes; /* owned */
    size_t size;
    size_t capacity;
};

/* More bytes behind those that are there. 0: the end; -1: errno says why not. */
static ssize_t read_more(struct input *input)
{
    ssize_t got;

    if (input->size == input->capacity) {
        size_t capacity = input->capacity ? 2 * input->capacity : READ_BYTES;
        char *bytes = realloc(input->bytes, capacity);

        if (!bytes)
            return -1;
        input->bytes = bytes;
        input->capacity = capacity;
    }
    do
        got = read(input->fd, input->bytes + input->size, input->capacity - input->size);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        input->size += (size_t)got;
    return got;
}

static enum snapshot_result read_all(struct snapshot_reader *reader, struct input *input)
{
    enum snapshot_result result = SNAPSHOT_MORE;
    ssize_t got;
    size_t used;

    while ((got = read_more(input)) > 0) {
        result = snapshot_read(reader, (struct span){input->bytes, input->size}, &used);
        if (result != SNAPSHOT_MORE && result != SNAPSHOT_WHOLE)
            return result;
        input->size -= used;
        memmove(input->bytes, input->bytes + used, input->size);
    }
    if (got < 0 && errno == ENOMEM)
        return SNAPSHOT_NO_MEMORY;
    if (got < 0)
        reader->reason = strerror(errno);
    else if (result == SNAPSHOT_MORE)
        reader->reason = "it ends too early";
    return got == 0 && result == SNAPSHOT_WHOLE ? SNAPSHOT_WHOLE : SNAPSHOT_BAD;
}

/* NULL: `result` says why. */
static struct snapshot *read_file(int fd, struct snapshot_reader *reader, enum snapshot_result *result)
{
    struct input input = {.fd = fd};
    struct snapshot *snapshot;

    *result = read_all(reader, &input);
    free(input.bytes);
    snapshot = *result == SNAPSHOT_WHOLE ? snapshot_reader_take(reader) : NULL;
    snapshot_reader_finish(reader);
    return snapshot;
}

static void move_aside(struct archive *archive, const char *name, const char *reason)
{
    log_write(LOG_ERROR, "hub.state_dir %s: %s is damaged: %s; it is moved to %s, and the start goes on without it", archive->folder, name, reason,
              DAMAGED);
    if (renameat(archive->fd, name, archive->fd, DAMAGED) < 0)
        log_write(LOG_ERROR, "hub.state_dir %s: cannot move %s: %s", archive->folder, name, strerror(errno));
}

static struct snapshot *load(struct archive *archive, const char *name, uint64_t wall_ms, int64_t now_ms)
{
    int fd = openat(archive->fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    enum snapshot_result result = SNAPSHOT_NO_MEMORY;
    struct snapshot_reader reader;
    struct snapshot *snapshot = NULL;

    if (fd < 0 && errno == ENOENT)
        return NULL;
    if (fd < 0) {
        move_aside(archive, name, strerror(errno));
        return NULL;
    }
    if (snapshot_reader_init(&reader, wall_ms, now_ms))
        snapshot = read_file(fd, &reader, &result);
    close(fd);
    if (result == SNAPSHOT_BAD)
        move_aside(archive, name, reader.reason);
    else if (!snapshot)
        log_write(LOG_ERROR, "hub.state_dir %s: no memory to load %s", archive->folder, name);
    return snapshot;
}

struct snapshot *archive_load(struct archive *archive, uint64_t wall_ms, int64_t now_ms)
{
    int64_t began_ms = clock_monotonic_ms();
    struct snapshot *snapshot = load(archive, COMPLETE, wall_ms, now_ms);

    if (!snapshot && (snapshot = load(archive, LATEST, wall_ms, now_ms))) {
        free(snapshot->marks);
        snapshot->marks = NULL;
    }
    if (snapshot)
        log_write(LOG_NOTICE, "history: %zu messages and %zu keys loaded in %lld ms, %s", snapshot->message_count, snapshot->key_count,
                  (long long)(clock_monotonic_ms() - began_ms), snapshot->marks ? "complete" : "not complete: whoever comes back is told of a gap");
    return snapshot;
}

/* --- writing --- */

static bool write_all(int fd, struct span bytes)
{
    while (bytes.size > 0) {
        ssize_t written = write(fd, bytes.bytes, bytes.size);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        bytes.bytes += written;
        bytes.size -= (size_t)written;
    }
    return true;
}

/* False: errno says why. */
static bool write_parts(int fd, const struct snapshot *snapshot)
{
    struct snapshot_writer writer;
    struct text text = TEXT_EMPTY;
    bool has_more, done;

    snapshot_writer_init(&writer, snapshot);
    do {
        text_clear(&text);
        has_more = snapshot_write(&writer, &text);
        if (text.failed)
            errno = ENOMEM;
        done = !text.failed && write_all(fd, text_span(&text));
    } while (has_more && done);
    text_finish(&text);
    return done;
}

static bool write_new(struct archive *archive, const struct snapshot *snapshot)
{
    int fd = openat(archive->fd, NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), error;
    bool done;

    if (fd < 0)
        return false;
    done = write_parts(fd, snapshot) && fsync(fd) == 0;
    error = errno;
    if (close(fd) < 0 && done)
        return false;
    errno = error;
    return done;
}

static bool replace(struct archive *archive, const struct snapshot *snapshot, const char *name)
{
    if (snapshot->failed) {
        errno = ENOMEM;
        return false;
    }
    (void)unlinkat(archive->fd, NEW, 0);
    return write_new(archive, snapshot) && renameat(archive->fd, NEW, archive->fd, name) == 0 && fsync(archive->fd) == 0;
}

/* The old one stays until the new one is on the disk. */
static bool write_snapshot(struct archive *archive, const struct snapshot *snapshot, const char *name, enum log_level level)
{
    int64_t began_ms = clock_monotonic_ms();

    if (!replace(archive, snapshot, name)) {
        log_write(LOG_ERROR, "cannot write %s to hub.state_dir %s: %s", name, archive->folder, strerror(errno));
        (void)unlinkat(archive->fd, NEW, 0);
        return false;
    }
    log_write(level, "history: %zu messages and %zu keys written in %lld ms", snapshot->message_count, snapshot->key_count,
              (long long)(clock_monotonic_ms() - began_ms));
    return true;
}

void archive_write_last(struct archive *archive, const struct snapshot *snapshot)
{
    archive_wait(archive);
    if (write_snapshot(archive, snapshot, COMPLETE, LOG_NOTICE)) {
        (void)unlinkat(archive->fd, LATEST, 0);
        archive->written++;
    } else {
        archive->failed++;
    }
}

bool archive_use_up(struct archive *archive, char *error, size_t size)
{
    if ((renameat(archive->fd, COMPLETE, archive->fd, LATEST) == 0 || errno == ENOENT) && fsync(archive->fd) == 0)
        return true;
    snprintf(error, size, "cannot rename %s in hub.state_dir %s: %s; what it says must not be believed twice", COMPLETE, archive->folder, strerror(errno));
    return false;
}

/* --- the thread --- */

static void finish(struct archive *archive, bool is_written)
{
    snapshot_destroy(archive->snapshot);
    pthread_mutex_lock(&archive->lock);
    archive->snapshot = NULL;
    archive->is_busy = false;
    archive->written += is_written;
    archive->failed += !is_written;
    pthread_mutex_unlock(&archive->lock);
}

/* The least of this process's threads: the loops go first (Linux has a nice value for each thread, setpriority(2)). */
static void *run(void *context)
{
    struct archive *archive = context;

    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
    finish(archive, write_snapshot(archive, archive->snapshot, LATEST, LOG_INFO));
    return NULL;
}

/* With all signals blocked: they are the hub's. 0, or an error number. */
static int start_thread(struct archive *archive)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_mutex_lock(&archive->lock); /* until the thread's name is there */
    error = pthread_create(&archive->thread, NULL, run, archive);
    archive->has_thread = error == 0;
    pthread_mutex_unlock(&archive->lock);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

bool archive_claim(struct archive *archive)
{
    pthread_mutex_lock(&archive->lock);
    bool was_busy = archive->is_busy;
    archive->is_busy = true;
    pthread_mutex_unlock(&archive->lock);
    if (!was_busy)
        archive_wait(archive);
    return !was_busy;
}

void archive_give_up(struct archive *archive)
{
    finish(archive, false);
}

void archive_write_take(struct archive *archive, struct snapshot *snapshot)
{
    int error;

    archive->snapshot = snapshot;
    error = start_thread(archive);
    if (error == 0)
        return;
    log_write(LOG_ERROR, "cannot start a thread to write a snapshot: %s", strerror(error));
    finish(archive, false);
}

void archive_wait(struct archive *archive)
{
    pthread_mutex_lock(&archive->lock);
    bool has_thread = archive->has_thread;
    archive->has_thread = false;
    pthread_mutex_unlock(&archive->lock);
    if (has_thread)
        (void)pthread_join(archive->thread, NULL);
}
