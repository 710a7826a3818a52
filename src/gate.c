#include "gate.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GUARDED_MAX = 64 };

/* A connection that libzmq has. Its inode tells whether the descriptor still is that connection: libzmq does not say when it closes one. */
struct publisher {
    int fd;
    ino_t inode;
};

/* accept4 has no argument to carry a context, so this is the process's. */
static struct {
    pthread_mutex_t lock;
    struct publisher *publishers; /* owned */
    size_t count;
    size_t limit;
    uint64_t refused;
    int guarded[GUARDED_MAX];
    size_t guarded_count;
    int reserve; /* a descriptor to give up when there are no others; -1: none */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .reserve = -1};

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

bool gate_init(size_t limit)
{
    gate.publishers = calloc(limit, sizeof *gate.publishers);
    gate.limit = limit;
    gate.count = 0;
    gate.guarded_count = 0;
    gate.reserve = open_reserve();
    if (gate.publishers && gate.reserve >= 0)
        return true;
    gate_finish();
    return false;
}

void gate_finish(void)
{
    pthread_mutex_lock(&gate.lock);
    free(gate.publishers);
    gate.publishers = NULL;
    gate.count = 0;
    gate.guarded_count = 0;
    if (gate.reserve >= 0)
        close(gate.reserve);
    gate.reserve = -1;
    pthread_mutex_unlock(&gate.lock);
}

void gate_guard(int listening_fd)
{
    pthread_mutex_lock(&gate.lock);
    if (gate.guarded_count < GUARDED_MAX)
        gate.guarded[gate.guarded_count++] = listening_fd;
    pthread_mutex_unlock(&gate.lock);
}

void gate_unguard(int listening_fd)
{
    pthread_mutex_lock(&gate.lock);
    for (size_t i = 0; i < gate.guarded_count; i++)
        if (gate.guarded[i] == listening_fd)
            gate.guarded[i--] = gate.guarded[--gate.guarded_count];
    pthread_mutex_unlock(&gate.lock);
}

static bool is_guarded(int listening_fd)
{
    bool guarded = false;

    pthread_mutex_lock(&gate.lock);
    for (size_t i = 0; i < gate.guarded_count; i++)
        guarded |= gate.guarded[i] == listening_fd;
    pthread_mutex_unlock(&gate.lock);
    return guarded;
}

static ino_t inode_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

/* Forgets who has left. With the lock held. */
static void sweep(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < gate.count; i++)
        if (inode_of(gate.publishers[i].fd) == gate.publishers[i].inode)
            gate.publishers[kept++] = gate.publishers[i];
    gate.count = kept;
}

static bool admit(int fd)
{
    bool admitted;

    pthread_mutex_lock(&gate.lock);
    if (gate.count == gate.limit)
        sweep();
    admitted = gate.publishers && gate.count < gate.limit;
    if (admitted)
        gate.publishers[gate.count++] = (struct publisher){fd, inode_of(fd)};
    else
        gate.refused++;
    pthread_mutex_unlock(&gate.lock);
    return admitted;
}

void gate_shut_reading(void)
{
    pthread_mutex_lock(&gate.lock);
    sweep();
    for (size_t i = 0; i < gate.count; i++)
        shutdown(gate.publishers[i].fd, SHUT_RD);
    pthread_mutex_unlock(&gate.lock);
}

size_t gate_count(void)
{
    size_t count;

    pthread_mutex_lock(&gate.lock);
    sweep();
    count = gate.count;
    pthread_mutex_unlock(&gate.lock);
    return count;
}

uint64_t gate_refused(void)
{
    uint64_t refused;

    pthread_mutex_lock(&gate.lock);
    refused = gate.refused;
    pthread_mutex_unlock(&gate.lock);
    return refused;
}

/*
 * There is no descriptor for the connection that waits: the reserve takes it, so that it can be closed instead of waking libzmq's thread for ever.
 * If another thread was faster to use the reserve's, the next call tries again.
 */
static void refuse_with_reserve(int listening_fd)
{
    int accepted;

    pthread_mutex_lock(&gate.lock);
    if (gate.reserve >= 0)
        close(gate.reserve);
    accepted = (int)syscall(SYS_accept4, listening_fd, NULL, NULL, SOCK_CLOEXEC);
    if (accepted >= 0) {
        close(accepted);
        gate.refused++;
    }
    gate.reserve = open_reserve();
    pthread_mutex_unlock(&gate.lock);
}

static bool is_lack(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* On a guarded socket: what libzmq is told instead of `accepted`, or of errno when that is -1. */
static int guard(int listening_fd, int accepted)
{
    if (accepted >= 0 ? admit(accepted) : !is_lack(errno))
        return accepted;
    if (accepted >= 0)
        close(accepted);
    else
        refuse_with_reserve(listening_fd);
    errno = ECONNABORTED;
    return -1;
}

int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    int accepted = (int)syscall(SYS_accept4, fd, address, length, flags);

    return is_guarded(fd) ? guard(fd, accepted) : accepted;
}
