/* keyfile: reads key files. What was read is wiped; the keys that were made of it stay. */
#include "keyfile.h"

#include "guarded_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_BYTES = KEYFILE_MAX_BYTES + 1 }; /* one more shows that it is too large */

struct content {
    char *bytes; /* owned */
    size_t size;
};

static bool read_all(int fd, struct content *content)
{
    ssize_t got = 1;

    while (got > 0 && content->size < MOST_BYTES) {
        got = read(fd, content->bytes + content->size, MOST_BYTES - content->size);
        content->size += got > 0 ? (size_t)got : 0;
    }
    return got >= 0;
}

static bool load(const char *path, struct content *content, char *error, size_t size)
{
    int fd = guarded_file_open(path, GUARDED_SECRET, error, size);
    const char *fault = NULL;

    *content = (struct content){0};
    if (fd < 0)
        return false;
    content->bytes = malloc(MOST_BYTES);
    if (!content->bytes)
        fault = "no memory";
    else if (!read_all(fd, content))
        fault = strerror(errno);
    else if (content->size > KEYFILE_MAX_BYTES)
        fault = "expected at most 256 KiB";
    if (fault)
        snprintf(error, size, "%s: %s", path, fault);
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
