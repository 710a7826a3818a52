/* Runs a fuzz target once over every file named (or every file of a folder named), without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;

    if (!file || fstat(fileno(file), &status) < 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)status.st_size;
    uint8_t *data = malloc(size ? size : 1);

    if (!data || fread(data, 1, size, file) != size) {
        perror(path);
        exit(1);
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    fclose(file);
    return 1;
}

static int replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char name[4096];
    int files = 0;

    if (!folder)
        return replay_file(path);
    while ((entry = readdir(folder)))
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
            files += replay_file(name);
        }
    closedir(folder);
    return files;
}

int main(int argc, char **argv)
{
    int files = 0;

    for (int i = 1; i < argc; i++)
        files += replay_folder(argv[i]);
    printf("%d inputs replayed\n", files);
    return files > 0 ? 0 : 1;
}
