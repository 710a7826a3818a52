#include "folder.h"

#include "acts.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void write_file(const char *folder, const char *name, const char *content)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "w");
    if (!file || fputs(content, file) < 0 || fclose(file) != 0 || chmod(path, 0600) < 0) {
        perror(path);
        exit(1);
    }
}

static void copy_state(const char *from, const char *to)
{
    static const char *const names[] = {"next-id", "history.complete", "history.snapshot"};
    static char bytes[4 * 1024 * 1024];
    char path[128];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/state/%s", from, names[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof bytes);
        if (fd >= 0)
            close(fd);
        if (size < 0)
            continue;
        if (size == sizeof bytes)
            abort();
        snprintf(path, sizeof path, "%s/state/%s", to, names[i]);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || write(fd, bytes, (size_t)size) != size || close(fd) < 0)
            abort();
    }
}

void folder_configure(const char *folder, int workers, const char *interval)
{
    const char *group = getgrgid(getgid())->gr_name;
    char text[2048];

    snprintf(text, sizeof text,
             "[fastcgi]\nlisten = %s/fastcgi.sock\nlisten = 127.0.0.1:0\ngroup = %s\n"
             "[publish]\nlisten = ipc://%s/publish.sock\nlisten = tcp://127.0.0.1:0\nconfirm_listen = ipc://%s/confirm.sock\ngroup = %s\n"
             "curve_secret_file = %s/curve.secret\ncurve_clients_file = %s/curve.clients\n"
             "[access]\npublic = news/*\n"
             "[token]\nsecret_file = %s/token.secret\nkeys_file = %s/token.keys\n"
             "[hub]\nworkers = %d\nstate_dir = %s/state\ndrain = 0\npace = 1ms\nsnapshot_interval = %s\nstop_timeout = 4s\nmax_clients = 100\n"
             "[channel \"one\"]\nmatch = k/*\nhistory.messages = 50\n",
             folder, group, folder, folder, group, folder, folder, folder, folder, workers, folder, interval);
    write_file(folder, "sidecast.conf", text);
}

void folder_make(const char *folder, const char *kept, int workers)
{
    char path[128];

    snprintf(path, sizeof path, "%s/state", folder);
    if (mkdir(folder, 0700) < 0 || mkdir(path, 0700) < 0) {
        perror(folder);
        exit(1);
    }
    if (kept)
        copy_state(kept, folder);
    folder_configure(folder, workers, "0");
    write_file(folder, "token.secret", TOKEN_SECRET);
    write_file(folder, "token.keys", "{\"keys\": [{\"kty\": \"oct\", \"alg\": \"HS256\", \"kid\": \"other\", \"k\": \"ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA\"}]}\n");
    write_file(folder, "curve.secret", "x#gnZ+GbnJ1i6V(JGCcSKawnOHWw^Yu{iMIHh&4O\n");
    write_file(folder, "curve.clients", "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\n");
}

void folder_remove(const char *folder)
{
    char path[512];
    struct dirent *entry;
    DIR *open = opendir(folder);

    while (open && (entry = readdir(open))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR)
            folder_remove(path);
        else
            unlink(path);
    }
    if (open)
        closedir(open);
    rmdir(folder);
}
