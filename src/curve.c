/* Keys are text until libzmq gets them. */
#include "curve.h"

#include "guarded_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { LINE_BYTES = 1024 };

static bool fail(char *error, size_t size, const char *path, const char *what)
{
    snprintf(error, size, "%s: %s", path, what);
    return false;
}

static bool fail_line(char *error, size_t size, const char *path, int line, const char *expected)
{
    snprintf(error, size, "%s:%d: expected %s", path, line, expected);
    return false;
}

bool curve_is_key(const char *text)
{
    uint8_t bytes[CURVE_KEY_BYTES];
    bool is_key = strlen(text) == CURVE_TEXT_BYTES && strcspn(text, " \t") == CURVE_TEXT_BYTES && zmq_z85_decode(bytes, text);

    explicit_bzero(bytes, sizeof bytes);
    return is_key;
}

bool curve_public_of(const char secret[CURVE_TEXT], char public[CURVE_TEXT])
{
    return zmq_curve_public(public, secret) == 0;
}

/* --- reading --- */

static FILE *open_file(const char *path, enum guarded_file kind, char *error, size_t size)
{
    int fd = guarded_file_open(path, kind, error, size);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;

    if (fd >= 0 && !file) {
        fail(error, size, path, strerror(errno));
        close(fd);
    }
    return file;
}

/* The content of the next line that says something, without the space around it, or NULL. */
static char *next_line(FILE *file, char line[LINE_BYTES], int *number)
{
    while (fgets(line, LINE_BYTES, file)) {
        char *start = line + strspn(line, " \t");
        size_t length = strcspn(start, "\r\n");

        while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t'))
            length--;
        start[length] = '\0';
        ++*number;
        if (length > 0 && *start != '#')
            return start;
    }
    return NULL;
}

/* `name = <key>`: the key; NULL: it is not that. */
static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncmp(line, name, length) != 0)
        return NULL;
    line += length + strspn(line + length, " \t");
    return *line == '=' ? line + 1 + strspn(line + 1, " \t") : NULL;
}

/* The key called `name`, or the one that is alone. The other one of a pair is passed over. */
static bool read_key(FILE *file, const char *path, const char *name, const char *other, char key[CURVE_TEXT], char *error, size_t size)
{
    char line[LINE_BYTES];
    const char *start;
    bool is_found = false;
    int number = 0;

    while ((start = next_line(file, line, &number))) {
        const char *value = value_of(start, name), *passed = value_of(start, other);

        if (!value && passed && curve_is_key(passed))
            continue;
        value = value ? value : start;
        if (is_found || !curve_is_key(value)) {
            explicit_bzero(line, sizeof line);
            return fail_line(error, size, path, number, is_found ? "one key only" : "a key of 40 characters (Z85)");
        }
        memcpy(key, value, CURVE_TEXT);
        is_found = true;
    }
    explicit_bzero(line, sizeof line);
    return is_found || fail(error, size, path, "expected a key of 40 characters (Z85)");
}

/* stdio has the secret in its buffer, which is made ours so that it can be wiped. */
static bool read_file(const char *path, bool is_secret, char key[CURVE_TEXT], char *error, size_t size)
{
    FILE *file = open_file(path, is_secret ? GUARDED_SECRET : GUARDED_PUBLIC, error, size);
    char buffer[4096];
    bool done;

    if (!file)
        return false;
    setvbuf(file, buffer, _IOFBF, sizeof buffer);
    done = is_secret ? read_key(file, path, "secret", "public", key, error, size) : read_key(file, path, "public", "secret", key, error, size);
    fclose(file);
    explicit_bzero(buffer, sizeof buffer);
    return done;
}

bool curve_read_secret(const char *path, char secret[CURVE_TEXT], char *error, size_t size)
{
    return read_file(path, true, secret, error, size);
}

bool curve_read_public(const char *path, char public[CURVE_TEXT], char *error, size_t size)
{
    return read_file(path, false, public, error, size);
}

/* --- lists --- */

static bool add_key(struct curve_list *list, const char *text)
{
    struct curve_key *keys = realloc(list->keys, (list->count + 1) * sizeof *keys);

    if (!keys)
        return false;
    list->keys = keys;
    return zmq_z85_decode(keys[list->count++].bytes, text);
}

static bool read_keys(FILE *file, const char *path, struct curve_list *list, char *error, size_t size)
{
    char line[LINE_BYTES];
    const char *start;
    int number = 0;

    while ((start = next_line(file, line, &number))) {
        if (!curve_is_key(start))
            return fail_line(error, size, path, number, "a public key of 40 characters (Z85), or a comment after #");
        if (!add_key(list, start))
            return fail(error, size, path, "no memory");
    }
    return !ferror(file) || fail(error, size, path, strerror(errno));
}

bool curve_read_list(const char *path, struct curve_list *list, char *error, size_t size)
{
    FILE *file = open_file(path, GUARDED_PUBLIC, error, size);
    bool done;

    *list = (struct curve_list){0};
    if (!file)
        return false;
    done = read_keys(file, path, list, error, size);
    fclose(file);
    if (!done)
        curve_list_finish(list);
    return done;
}

bool curve_list_has(const struct curve_list *list, const uint8_t key[CURVE_KEY_BYTES])
{
    for (size_t i = 0; i < list->count; i++)
        if (memcmp(list->keys[i].bytes, key, CURVE_KEY_BYTES) == 0)
            return true;
    return false;
}

void curve_list_finish(struct curve_list *list)
{
    free(list->keys);
    *list = (struct curve_list){0};
}

/* --- writing --- */

static bool write_file(const char *path, mode_t mode, const char *text, char *error, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), reason;
    ssize_t length = (ssize_t)strlen(text);

    if (fd < 0)
        return fail(error, size, path, strerror(errno));
    if (write(fd, text, (size_t)length) == length && fchmod(fd, mode) == 0 && fsync(fd) == 0) {
        close(fd); /* nothing is left that could fail, and it must not be closed twice */
        return true;
    }
    reason = errno;
    close(fd);
    unlink(path);
    return fail(error, size, path, strerror(reason));
}

static bool write_pair(const char *prefix, const char *public, const char *secret, char *error, size_t size)
{
    char secret_path[PATH_MAX], public_path[PATH_MAX], text[LINE_BYTES];
    bool done;

    if (snprintf(secret_path, sizeof secret_path, "%s.secret", prefix) >= PATH_MAX)
        return fail(error, size, prefix, strerror(ENAMETOOLONG));
    snprintf(public_path, sizeof public_path, "%s.public", prefix);
    snprintf(text, sizeof text, "# A CURVE key pair. Whoever can read this file can act as its owner.\npublic = %s\nsecret = %s\n", public, secret);
    done = write_file(secret_path, 0600, text, error, size);
    explicit_bzero(text, sizeof text);
    if (!done)
        return false;
    snprintf(text, sizeof text, "%s\n", public);
    if (write_file(public_path, 0644, text, error, size))
        return true;
    unlink(secret_path);
    return false;
}

bool curve_write_pair(const char *prefix, char public[CURVE_TEXT], char *error, size_t size)
{
    char secret[CURVE_TEXT];
    bool done = zmq_curve_keypair(public, secret) == 0 ? write_pair(prefix, public, secret, error, size)
                                                       : fail(error, size, prefix, "this libzmq is built without CURVE");

    explicit_bzero(secret, sizeof secret);
    return done;
}
