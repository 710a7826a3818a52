/* What is looked at is the open descriptor, not the path, so that nothing changes in between. */
#include "guarded_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* NULL: it is good. */
static const char *fault_of(const struct stat *status, enum guarded_file kind)
{
    if (!S_ISREG(status->st_mode))
        return "expected a regular file";
    if (kind == GUARDED_PUBLIC)
        return status->st_mode & S_IWOTH ? "everybody can write to it: expected a mode like 0644 (chmod o-w)" : NULL;
    if (status->st_mode & 0077 & ~S_IRGRP)
        return "others can read or change it: expected mode 0600, or 0640 with a group that may read it";
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return "it belongs to another user: expected the one that this process runs as, or root";
    return NULL;
}

int guarded_file_open(const char *path, enum guarded_file kind, char *error, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    const char *fault = fd < 0 || fstat(fd, &status) < 0 ? strerror(errno) : fault_of(&status, kind);

    if (!fault)
        return fd;
    snprintf(error, size, "%s: %s", path, fault);
    if (fd >= 0)
        close(fd);
    return -1;
}
