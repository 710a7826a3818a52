/* A folder for one test, with the path of a file in it. Include it after cmocka. */
#ifndef FOLDER_FIXTURE_H
#define FOLDER_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[32], path[64], error[512];

static inline int make_folder(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/sidecast.XXXXXX");
    error[0] = '\0';
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/key", directory);
    return 0;
}

/* With the files in it. */
static inline int remove_folder(void **state)
{
    DIR *files = opendir(directory);

    (void)state;
    for (struct dirent *file = readdir(files); file; file = readdir(files))
        unlinkat(dirfd(files), file->d_name, 0);
    closedir(files);
    return rmdir(directory);
}

#endif
