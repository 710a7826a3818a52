/* guarded_file: opens files of keys, if only those can change them, and read what is secret, who should. */
#ifndef GUARDED_FILE_H
#define GUARDED_FILE_H

#include <stddef.h>

enum guarded_file {
    GUARDED_SECRET, /* belongs to the process's user or to root; nobody else has permissions, but its group may read */
    GUARDED_PUBLIC, /* not everybody can write to it */
};

/*
 * Opens the regular file for reading; never waits for one that is something else. The descriptor is the caller's. -1: `error` (of `size`
 * bytes) names the file and says what was expected.
 */
int guarded_file_open(const char *path, enum guarded_file kind, char *error, size_t size) __attribute__((warn_unused_result));

#endif
