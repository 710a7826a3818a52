/*
 * The gate: who publishes is known by descriptor and inode. It defines accept4, epoll_ctl and epoll_wait, which libzmq then calls instead of libc's;
 * gate.h says why.
 */
#include "gate.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { GUARDED_MAX = 64, MARKS_MAX = 1024 * 1024 };

/* At the limit a flood must not cost a look at every publisher for each connection. */
enum { SWEEP_PAUSE_MS = 100 };

/* What a descriptor is; changed only by the thread of libzmq that uses it, or when it is accepted. */
enum mark { MARK_NONE, MARK_PUBLISHER, MARK_PUBLISHER_OUT /* of the epoll set */ };

/* A connection that libzmq has. Its inode tells whether the descriptor still is that connection: libzmq does not say when it closes one. */
struct publisher {
    int fd;
    bool is_answered;
    ino_t inode;
};

/* A listening socket that libzmq accepts on. */
struct guarded {
    int fd;
    bool answers;
    bool is_passed; /* the next process accepts who waits here when the gate is shut */
};

/* accept4 has no argument to carry a context, so this is the process's. */
static struct {
    pthread_mutex_t lock;
    struct publisher *publishers; /* owned */
    size_t count;
    size_t limit;
    uint64_t refused;
    int64_t in_vain_ms; /* monotonic clock: when a sweep last found that nobody had left */
    struct guarded guarded[GUARDED_MAX];
    size_t guarded_count;
    bool is_shut;
    int reserve; /* a descriptor to give up when there are no others; -1: none */
    atomic_uchar *marks; /* by descriptor, enum mark; owned */
    int mark_count;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .reserve = -1};

/* What this thread last waited on: libzmq's accepts between two waits. */
static _Thread_local int waited_on = -1;

static int open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Descriptors are below the hard limit, to which the server has raised its own. */
static bool make_marks(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return false;
    gate.mark_count = limit.rlim_max < MARKS_MAX ? (int)limit.rlim_max : MARKS_MAX;
    gate.marks = calloc((size_t)gate.mark_count, sizeof *gate.marks);
    return gate.marks != NULL;
}

static void set_mark(int fd, enum mark mark)
{
    if (gate.marks && fd < gate.mark_count)
        atomic_store_explicit(&gate.marks[fd], (unsigned char)mark, memory_order_relaxed);
}

static enum mark mark_of(int fd)
{
    if (!gate.marks || fd < 0 || fd >= gate.mark_count)
        return MARK_NONE;
    return atomic_load_explicit(&gate.marks[fd], memory_order_relaxed);
}

bool gate_init(size_t limit)
{
    gate.publishers = calloc(limit, sizeof *gate.publishers);
    gate.limit = limit;
    gate.count = 0;
    gate.in_vain_ms = 0;
    gate.guarded_count = 0;
    gate.is_shut = false;
    gate.reserve = open_reserve();
    if (gate.publishers && gate.reserve >= 0 && make_marks())
        return true;
    gate_finish();
    return false;
}

void gate_finish(void)
{
    pthread_mutex_lock(&gate.lock);
    free(gate.publishers);
    gate.publishers = NULL;
    free(gate.marks);
    gate.marks = NULL;
    gate.count = 0;
    gate.guarded_count = 0;
    if (gate.reserve >= 0)
        close(gate.reserve);
    gate.reserve = -1;
    pthread_mutex_unlock(&gate.lock);
}

void gate_guard(int listening_fd, bool answers, bool is_passed)
{
    pthread_mutex_lock(&gate.lock);
    if (gate.guarded_count < GUARDED_MAX)
        gate.guarded[gate.guarded_count++] = (struct guarded){listening_fd, answers, is_passed};
    pthread_mutex_unlock(&gate.lock);
}

void gate_unguard(int listening_fd)
{
    pthread_mutex_lock(&gate.lock);
    for (size_t i = 0; i < gate.guarded_count; i++)
        if (gate.guarded[i].fd == listening_fd)
            gate.guarded[i--] = gate.guarded[--gate.guarded_count];
    pthread_mutex_unlock(&gate.lock);
}

/* With the lock held. NULL: libzmq does not accept on it, or is not to be bounded. */
static const struct guarded *find_guarded(int listening_fd)
{
    for (size_t i = 0; i < gate.guarded_count; i++)
        if (gate.guarded[i].fd == listening_fd)
            return &gate.guarded[i];
    return NULL;
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

/* With the lock held. */
static bool admit(int fd, bool is_answered)
{
    int64_t now_ms = clock_monotonic_ms();
    bool admitted;

    if (gate.count == gate.limit && now_ms >= gate.in_vain_ms + SWEEP_PAUSE_MS) {
        sweep();
        if (gate.count == gate.limit)
            gate.in_vain_ms = now_ms;
    }
    admitted = gate.publishers && gate.count < gate.limit;
    if (admitted)
        gate.publishers[gate.count++] = (struct publisher){fd, is_answered, inode_of(fd)};
    else
        gate.refused++;
    return admitted;
}

void gate_shut_reading(void)
{
    pthread_mutex_lock(&gate.lock);
    sweep();
    gate.is_shut = true;
    gate.limit = 0; /* who comes back waits for the next server */
    for (size_t i = 0; i < gate.count; i++)
        if (!gate.publishers[i].is_answered)
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
 * If another thread was faster to use the reserve's, the next call tries again. With the lock held.
 */
static void refuse_with_reserve(int listening_fd)
{
    int accepted;

    if (gate.reserve >= 0)
        close(gate.reserve);
    accepted = (int)syscall(SYS_accept4, listening_fd, NULL, NULL, SOCK_CLOEXEC);
    if (accepted >= 0) {
        close(accepted);
        gate.refused++;
    }
    gate.reserve = open_reserve();
}

static bool is_lack(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Nobody is accepted, and libzmq's thread is woken for it no more; that its poller removes the descriptor later is fine (publisher_epoll_ctl). */
static int leave_waiting(int listening_fd)
{
    if (syscall(SYS_epoll_ctl, waited_on, EPOLL_CTL_DEL, listening_fd, NULL) == 0)
        set_mark(listening_fd, MARK_PUBLISHER_OUT);
    errno = EAGAIN;
    return -1;
}

/* On a guarded socket: what libzmq is told instead of `accepted`, or of errno when that is -1. */
static int guard(int listening_fd, int accepted, bool answers)
{
    if (accepted >= 0 ? admit(accepted, answers) : !is_lack(errno))
        return accepted;
    if (accepted >= 0)
        close(accepted);
    else
        refuse_with_reserve(listening_fd);
    errno = ECONNABORTED;
    return -1;
}

/* The lock is held over the call: whoever is accepted was let in before the gate was shut. */
int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    const struct guarded *guarded;
    int accepted;

    pthread_mutex_lock(&gate.lock);
    guarded = find_guarded(fd);
    if (guarded && guarded->is_passed && gate.is_shut)
        accepted = leave_waiting(fd);
    else if (guarded)
        accepted = guard(fd, (int)syscall(SYS_accept4, fd, address, length, flags), guarded->answers);
    pthread_mutex_unlock(&gate.lock);
    if (!guarded)
        accepted = (int)syscall(SYS_accept4, fd, address, length, flags);
    if (accepted >= 0)
        set_mark(accepted, guarded ? MARK_PUBLISHER : MARK_NONE);
    return accepted;
}

/* A publisher's connection is in the epoll set only while libzmq asks for events of it. */
static int publisher_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    bool is_out = mark_of(fd) == MARK_PUBLISHER_OUT;

    if (operation == EPOLL_CTL_DEL) {
        set_mark(fd, MARK_NONE);
        return is_out ? 0 : (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
    }
    if (operation == EPOLL_CTL_MOD && event->events == 0) {
        set_mark(fd, MARK_PUBLISHER_OUT);
        return is_out ? 0 : (int)syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_DEL, fd, event);
    }
    set_mark(fd, MARK_PUBLISHER);
    return (int)syscall(SYS_epoll_ctl, epoll, is_out ? EPOLL_CTL_ADD : operation, fd, event);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    if (mark_of(fd) != MARK_NONE)
        return publisher_epoll_ctl(epoll, operation, fd, event);
    return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

/*
 * Of input and a hang-up together libzmq makes two reads; if the first one stops at the high-water mark, the second gives the connection up. Input
 * alone is enough: reading comes to the end, or to the error.
 */
int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout)
{
    int count = epoll_pwait(epoll, events, most, timeout, NULL);

    waited_on = epoll;
    for (int i = 0; i < count; i++)
        if ((events[i].events & EPOLLIN) != 0)
            events[i].events &= ~(uint32_t)(EPOLLHUP | EPOLLERR);
    return count;
}
