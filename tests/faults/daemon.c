#include "daemon.h"

#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 15000, LOG_BYTES = 1024 * 1024 };

int daemon_main(int argc, char **argv); /* main() of src/main.c */

/* The sanitizers look for these names. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
    return "detect_leaks=1:exitcode=98";
}

const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1:exitcode=98";
}

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

/* In the child. */
static void live(const char *folder, struct board *faults)
{
    char name[] = "sidecast", file[] = "sidecast.conf", option[] = "-c";
    char *arguments[] = {name, option, file, NULL};
    int before = count_descriptors(), code;

    if (chdir(folder) < 0)
        _exit(96);
    board = faults;
    code = daemon_main(3, arguments);
    board = NULL;
    if (count_descriptors() != before)
        _exit(DAEMON_LEAKS_DESCRIPTORS);
    exit(code);
}

static int open_notify(const char *folder)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    snprintf(name.sun_path, sizeof name.sun_path, "%s/notify", folder);
    unlink(name.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&name, sizeof name) < 0)
        return -1;
    setenv("NOTIFY_SOCKET", name.sun_path, 1);
    return fd;
}

bool daemon_start(struct daemon *daemon, const char *folder, struct board *faults)
{
    int ends[2];

    *daemon = (struct daemon){.folder = folder, .notify_fd = open_notify(folder)};
    if (daemon->notify_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return false;
    fcntl(ends[1], F_SETPIPE_SZ, LOG_BYTES);
    daemon->log_fd = ends[0];
    daemon->pid = fork();
    if (daemon->pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        live(folder, faults);
    }
    close(ends[1]);
    return daemon->pid > 0;
}

static void read_notification(struct daemon *daemon)
{
    char bytes[512];
    ssize_t got = recv(daemon->notify_fd, bytes, sizeof bytes, MSG_DONTWAIT);

    daemon->is_ready |= got >= 7 && memcmp(bytes, "READY=1", 7) == 0;
}

static void read_log(struct daemon *daemon)
{
    char *end = text_reserve(&daemon->log, 4096);
    ssize_t got = read(daemon->log_fd, end, 4096);

    if (got > 0)
        daemon->log.size += (size_t)got;
    daemon->is_over |= got == 0;
    daemon->is_ready |= daemon_said(daemon, " is ready\n");
}

void daemon_listen(struct daemon *daemon, int wait_ms)
{
    struct pollfd items[] = {{.fd = daemon->log_fd, .events = POLLIN}, {.fd = daemon->notify_fd, .events = POLLIN}};

    while (!daemon->is_over && poll(items, 2, wait_ms) > 0) {
        if (items[0].revents)
            read_log(daemon);
        if (items[1].revents)
            read_notification(daemon);
        wait_ms = 0;
    }
}

bool daemon_said(const struct daemon *daemon, const char *text)
{
    return daemon->log.size > daemon->mark && memmem(daemon->log.bytes + daemon->mark, daemon->log.size - daemon->mark, text, strlen(text));
}

bool daemon_await_ready(struct daemon *daemon)
{
    int64_t end_ms = clock_monotonic_ms() + WAIT_MS;

    while (!daemon->is_ready && !daemon->is_over && clock_monotonic_ms() < end_ms)
        daemon_listen(daemon, 1000);
    return daemon->is_ready;
}

void daemon_signal(struct daemon *daemon, int number)
{
    if (!daemon->is_over)
        kill(daemon->pid, number);
}

bool daemon_await_end(struct daemon *daemon)
{
    int64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    bool is_over;
    int status = 0;

    while (!daemon->is_over && clock_monotonic_ms() < end_ms)
        daemon_listen(daemon, 1000);
    is_over = daemon->is_over;
    if (!is_over)
        kill(daemon->pid, SIGKILL);
    (void)waitpid(daemon->pid, &status, 0);
    daemon->code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    close(daemon->log_fd);
    close(daemon->notify_fd);
    return is_over;
}
