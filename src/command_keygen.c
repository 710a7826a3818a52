#include "command_keygen.h"

#include "curve.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MADE = 0, NOT_MADE = 1, WRONG_USAGE = 2 };

static const char USAGE[] =
    "Usage: sidecast keygen [--curve] [DIRECTORY | PREFIX]\n"
    "\n"
    "Makes a key pair for CURVE, for a server or for a publisher, and prints the public key.\n"
    "\n"
    "  DIRECTORY  write DIRECTORY/curve.secret and DIRECTORY/curve.public; without it, here\n"
    "  PREFIX     write PREFIX.secret and PREFIX.public\n"
    "  --curve    the kind of key; there is no other\n"
    "  --help     print this text\n"
    "\n"
    "The secret file (mode 0600) holds both keys. Files that are there are not overwritten.\n"
    "Exit codes: 0 made, 1 not made, 2 wrong arguments.\n";

static bool is_directory(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int make(const char *place)
{
    char prefix[PATH_MAX], public[CURVE_TEXT], error[PATH_MAX + 256];

    snprintf(prefix, sizeof prefix, is_directory(place) ? "%s/curve" : "%s", place);
    if (!curve_write_pair(prefix, public, error, sizeof error)) {
        fprintf(stderr, "sidecast keygen: %s\n", error);
        return NOT_MADE;
    }
    puts(public);
    return MADE;
}

int command_keygen_run(int argc, char **argv)
{
    const char *place = NULL;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(USAGE, stdout);
            return MADE;
        }
        if (strcmp(argv[i], "--curve") == 0)
            continue;
        if (place || argv[i][0] == '-' || argv[i][0] == '\0') {
            fprintf(stderr, "sidecast keygen: %s: expected [--curve] and at most one DIRECTORY or PREFIX\n", argv[i]);
            return WRONG_USAGE;
        }
        place = argv[i];
    }
    return make(place ? place : ".");
}
