/*
 * keyfile: reads key files. Who may be looked at is the open descriptor, not the path, so that nothing changes in between. What was read is
 * wiped; the keys that were made of it stay.
 */
#include "keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct content {
    char *bytes; /* owned */
    size_t size;
};

/* NULL: it is good. */
static const char *fault_of(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return "expected a regular file";
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return "expected it to belong to the user that sidecast runs as, or to root";
    if ((status->st_mode & 0077 & ~S_IRGRP) != 0)
        return "expected nobody but its owner, and its group to read, to have permissions (chmod 0600 or 0640)";
    if (status->st_size > KEYFILE_MAX_BYTES)
        return "expected at most 256 KiB";
    return NULL;
}

static bool read_all(int fd, struct content *content)
{
    ssize_t got = 1;

    while (got > 0 && content->size < KEYFILE_MAX_BYTES) {
        got = read(fd, content->bytes + content->size, KEYFILE_MAX_BYTES - content->size);
        content->size += got > 0 ? (size_t)got : 0;
    }
    return got >= 0;
}

static bool load(const char *path, struct content *content, char *error, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    const char *fault = NULL;

    *content = (struct content){0};
    if (fd < 0 || fstat(fd, &status) < 0)
        fault = strerror(errno);
    else if (!(fault = fault_of(&status)) && !(content->bytes = malloc(KEYFILE_MAX_BYTES)))
        fault = "no memory";
    else if (!fault && !read_all(fd, content))
        fault = strerror(errno);
    if (fault)
        snprintf(error, size, "%s: %s", path, fault);
    if (fd >= 0)
        close(fd);
    return !fault;
}

static void wipe(struct content *content)
{
    if (content->bytes)
        explicit_bzero(content->bytes, content->size);
    free(content->bytes);
}

static struct span without_newline(struct span text)
{
    if (text.size == 0 || text.bytes[text.size - 1] != '\n')
        return text;
    text.size--;
    if (text.size > 0 && text.bytes[text.size - 1] == '\r')
        text.size--;
    return text;
}

static bool add_file(struct keyring *keyring, const char *path, bool is_set, bool allow_short, char *error, size_t size)
{
    struct content content;
    struct span text;
    char reason[200];
    bool done;

    if (!path || !*path)
        return true;
    done = load(path, &content, error, size);
    if (done) {
        text = (struct span){content.bytes, content.size};
        done = is_set ? keyring_add_set(keyring, text, allow_short, reason, sizeof reason)
                      : keyring_add_secret(keyring, without_newline(text), allow_short, reason, sizeof reason);
        if (!done)
            snprintf(error, size, "%s: %s", path, reason);
    }
    wipe(&content);
    return done;
}

bool keyfile_read(struct keyring *keyring, const struct keyfile_paths *paths, char *error, size_t size)
{
    *keyring = (struct keyring){0};
    if (add_file(keyring, paths->secret, false, paths->allow_short, error, size) &&
        add_file(keyring, paths->set, true, paths->allow_short, error, size))
        return true;
    keyring_finish(keyring);
    return false;
}
