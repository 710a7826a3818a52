/*
 * shim: every call of src/ to a library that can fail because memory or descriptors lack, for programs linked with --wrap for each (FAULTS of the Makefile).
 * Left out, and why:
 * - what libev, libzmq and libfcgi call by themselves: lack of memory there ends the process, as documented. So syscall(SYS_epoll_ctl), which is
 *   made for them, and libfcgi's FCGX_…, of which none can fail for lack of something and return. jansson allocates by a function of ours, so it is in.
 * - zmq_msg_recv, _send, zmq_send, zmq_poll, zmq_getsockopt, zmq_msg_init, _data, _size, _more, _close, zmq_close, _unbind, _ctx_term: nothing that lacks is among their errors.
 * - close, munmap, shutdown, lseek, getrandom, getrlimit, setrlimit, clock_gettime, sigmask, pthread_mutex_… and _cond_…: they take nothing.
 * - printf into memory (snprintf): glibc allocates for wide characters and huge precisions only. fprintf, fputc, puts: they fail when their file is closed.
 * - getc, fgets: an error of the medium, not one that something lacks. connect: only --healthcheck and the probe of a listener, which is in.
 * - chown, chmod, umask, unlink: no error of theirs means that something lacks but ENOMEM of the kernel, which is in for chown and chmod.
 */
#include "board.h"

#include <cjose/cjose.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zmq.h>

#define DESCRIPTORS EMFILE, ENFILE, ENOMEM
#define BUFFERS ENOBUFS, ENOMEM
#define DISK ENOSPC, EDQUOT, ENOMEM

/* A call with a fixed number of arguments: result, name, parameters, arguments, what it returns when it fails, errors. */
#define FAILING(type, name, parameters, arguments, failure, ...) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        static const int errors[] = {__VA_ARGS__, 0}; \
        int error = board_strike(#name, errors); \
\
        if (!error) \
            return __real_##name arguments; \
        errno = error; \
        return failure; \
    }

/* memory */
FAILING(void *, malloc, (size_t size), (size), NULL, ENOMEM)
FAILING(void *, calloc, (size_t count, size_t size), (count, size), NULL, ENOMEM)
FAILING(void *, realloc, (void *memory, size_t size), (memory, size), NULL, ENOMEM)
FAILING(char *, strdup, (const char *text), (text), NULL, ENOMEM)
FAILING(char *, strndup, (const char *text, size_t size), (text, size), NULL, ENOMEM)
FAILING(void *, mmap, (void *at, size_t size, int use, int flags, int fd, off_t offset), (at, size, use, flags, fd, offset), MAP_FAILED, ENOMEM)
FAILING(int, memfd_create, (const char *name, unsigned flags), (name, flags), -1, DESCRIPTORS)
FAILING(int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size), -1, ENOSPC, ENOMEM)

/* descriptors */
FAILING(int, eventfd, (unsigned count, int flags), (count, flags), -1, DESCRIPTORS)
FAILING(int, epoll_create1, (int flags), (flags), -1, DESCRIPTORS)

/* sockets */
FAILING(int, socket, (int family, int type, int protocol), (family, type, protocol), -1, DESCRIPTORS, ENOBUFS)
FAILING(int, accept4, (int fd, struct sockaddr *name, socklen_t *size, int flags), (fd, name, size, flags), -1, DESCRIPTORS, ENOBUFS)
FAILING(int, bind, (int fd, const struct sockaddr *name, socklen_t size), (fd, name, size), -1, ENOMEM)
FAILING(int, listen, (int fd, int backlog), (fd, backlog), -1, BUFFERS)
FAILING(int, connect, (int fd, const struct sockaddr *name, socklen_t size), (fd, name, size), -1, BUFFERS)
FAILING(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t size), (fd, level, name, value, size), -1, BUFFERS)
FAILING(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *size), (fd, level, name, value, size), -1, BUFFERS)
FAILING(int, getsockname, (int fd, struct sockaddr *name, socklen_t *size), (fd, name, size), -1, ENOBUFS)
FAILING(ssize_t, recv, (int fd, void *bytes, size_t size, int flags), (fd, bytes, size, flags), -1, BUFFERS)
FAILING(ssize_t, send, (int fd, const void *bytes, size_t size, int flags), (fd, bytes, size, flags), -1, BUFFERS)
FAILING(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), -1, BUFFERS)
FAILING(ssize_t, sendto, (int fd, const void *bytes, size_t size, int flags, const struct sockaddr *name, socklen_t length),
        (fd, bytes, size, flags, name, length), -1, BUFFERS)

/* files */
FAILING(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size), -1, ENOMEM)
FAILING(int, fsync, (int fd), (fd), -1, ENOSPC, EDQUOT)
FAILING(int, rename, (const char *from, const char *to), (from, to), -1, DISK)
FAILING(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to), -1, DISK)
FAILING(int, unlinkat, (int fd, const char *name, int flags), (fd, name, flags), -1, ENOMEM)
FAILING(int, flock, (int fd, int operation), (fd, operation), -1, ENOLCK)
FAILING(int, stat, (const char *path, struct stat *status), (path, status), -1, ENOMEM)
FAILING(int, lstat, (const char *path, struct stat *status), (path, status), -1, ENOMEM)
FAILING(int, fstat, (int fd, struct stat *status), (fd, status), -1, ENOMEM)
FAILING(int, chmod, (const char *path, mode_t mode), (path, mode), -1, ENOMEM)
FAILING(int, fchmod, (int fd, mode_t mode), (fd, mode), -1, ENOMEM)
FAILING(int, chown, (const char *path, uid_t user, gid_t group), (path, user, group), -1, ENOMEM)
FAILING(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL, DESCRIPTORS, ENOSPC)
FAILING(FILE *, fdopen, (int fd, const char *mode), (fd, mode), NULL, ENOMEM)
FAILING(size_t, fread, (void *bytes, size_t size, size_t count, FILE *file), (bytes, size, count, file), 0, ENOMEM)

/* what the rest of the system has */
FAILING(struct group *, getgrnam, (const char *name), (name), NULL, DESCRIPTORS)
FAILING(struct ev_loop *, ev_default_loop, (unsigned flags), (flags), NULL, EMFILE)
FAILING(struct ev_loop *, ev_loop_new, (unsigned flags), (flags), NULL, EMFILE)

/* ZeroMQ */
FAILING(void *, zmq_ctx_new, (void), (), NULL, EMFILE, ENOMEM)
FAILING(void *, zmq_socket, (void *context, int type), (context, type), NULL, EMFILE, ENOMEM)
FAILING(int, zmq_setsockopt, (void *socket, int option, const void *value, size_t size), (socket, option, value, size), -1, ENOMEM)
FAILING(int, zmq_bind, (void *socket, const char *endpoint), (socket, endpoint), -1, EMFILE, ENOMEM)
FAILING(int, zmq_connect, (void *socket, const char *endpoint), (socket, endpoint), -1, EMFILE, ENOMEM)

/* Those that return their error. */
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context)
{
    static const int errors[] = {EAGAIN, 0};
    int error = board_strike("pthread_create", errors);

    return error ? error : __real_pthread_create(thread, attributes, run, context);
}

int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found);

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **found)
{
    static const int errors[] = {ENOMEM, EMFILE, 0};
    int error = board_strike("getaddrinfo", errors);

    if (!error)
        return __real_getaddrinfo(host, port, hints, found);
    errno = error;
    return error == ENOMEM ? EAI_MEMORY : EAI_SYSTEM;
}

int __real_getnameinfo(const struct sockaddr *name, socklen_t size, char *host, socklen_t host_size, char *port, socklen_t port_size, int flags);
int __wrap_getnameinfo(const struct sockaddr *name, socklen_t size, char *host, socklen_t host_size, char *port, socklen_t port_size, int flags);

int __wrap_getnameinfo(const struct sockaddr *name, socklen_t size, char *host, socklen_t host_size, char *port, socklen_t port_size, int flags)
{
    static const int errors[] = {ENOMEM, 0};

    return board_strike("getnameinfo", errors) ? EAI_MEMORY : __real_getnameinfo(name, size, host, host_size, port, port_size, flags);
}

/* What is so short lies in the message itself. */
enum { ZMQ_SHORT_BYTES = 33 };

int __real_zmq_msg_init_size(zmq_msg_t *message, size_t size);
int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size);

int __wrap_zmq_msg_init_size(zmq_msg_t *message, size_t size)
{
    static const int errors[] = {ENOMEM, 0};

    errno = size > ZMQ_SHORT_BYTES ? board_strike("zmq_msg_init_size", errors) : 0;
    return errno ? -1 : __real_zmq_msg_init_size(message, size);
}

/* Without an endpoint it ends, which takes nothing. */
int __real_zmq_socket_monitor(void *socket, const char *endpoint, int events);
int __wrap_zmq_socket_monitor(void *socket, const char *endpoint, int events);

int __wrap_zmq_socket_monitor(void *socket, const char *endpoint, int events)
{
    static const int errors[] = {EMFILE, ENOMEM, 0};

    errno = endpoint ? board_strike("zmq_socket_monitor", errors) : 0;
    return errno ? -1 : __real_zmq_socket_monitor(socket, endpoint, events);
}

/* Those with `...`. */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, mode_t mode);

int __wrap_open(const char *path, int flags, mode_t mode)
{
    static const int errors[] = {DESCRIPTORS, 0};
    int error = board_strike("open", errors);

    if (!error)
        return __real_open(path, flags, mode);
    errno = error;
    return -1;
}

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, mode_t mode);

int __wrap_openat(int folder, const char *path, int flags, mode_t mode)
{
    static const int errors[] = {DESCRIPTORS, ENOSPC, 0};
    int error = board_strike("openat", errors);

    if (!error)
        return __real_openat(folder, path, flags, mode);
    errno = error;
    return -1;
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, long argument);

int __wrap_fcntl(int fd, int command, long argument)
{
    static const int errors[] = {EMFILE, ENOMEM, 0};
    int error = board_strike("fcntl", errors);

    if (!error)
        return __real_fcntl(fd, command, argument);
    errno = error;
    return -1;
}

/* The log's calls are named apart: what is lost with them is a line. */
int __real_poll(struct pollfd *items, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *items, nfds_t count, int timeout);

int __wrap_poll(struct pollfd *items, nfds_t count, int timeout)
{
    static const int errors[] = {ENOMEM, 0};
    int error = board_strike(items->fd == STDERR_FILENO ? "poll(stderr)" : "poll", errors);

    if (!error)
        return __real_poll(items, count, timeout);
    errno = error;
    return -1;
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);

ssize_t __wrap_write(int fd, const void *bytes, size_t size)
{
    static const int errors[] = {DISK, 0};
    int error = board_strike(fd == STDERR_FILENO ? "write(stderr)" : "write", errors);

    if (!error)
        return __real_write(fd, bytes, size);
    errno = error;
    return -1;
}

/* Only what is added takes memory. */
int __real_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

int __wrap_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
    static const int errors[] = {ENOMEM, ENOSPC, 0};
    int error = operation == EPOLL_CTL_ADD ? board_strike("epoll_ctl", errors) : 0;

    if (!error)
        return __real_epoll_ctl(epoll, operation, fd, event);
    errno = error;
    return -1;
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d);

/* The gate's: libzmq's accepts are ours, for what it asks epoll it answers itself. */
long __wrap_syscall(long number, long a, long b, long c, long d)
{
    static const int errors[] = {DESCRIPTORS, ENOBUFS, 0};
    int error = number == SYS_accept4 ? board_strike("syscall(SYS_accept4)", errors) : 0;

    if (!error)
        return __real_syscall(number, a, b, c, d);
    errno = error;
    return -1;
}

/* A file that is full says so when what was written leaves the buffer. */
int __real_fclose(FILE *file);
int __wrap_fclose(FILE *file);

int __wrap_fclose(FILE *file)
{
    static const int errors[] = {DISK, 0};
    int error = board_strike("fclose", errors), result = __real_fclose(file);

    if (!error)
        return result;
    errno = error;
    return EOF;
}

/* cjose's, which say why. */
#define FAILING_CJOSE(type, name, parameters, arguments, failure) \
    type __real_##name parameters; \
    type __wrap_##name parameters; \
    type __wrap_##name parameters \
    { \
        static const int errors[] = {ENOMEM, 0}; \
\
        if (!board_strike(#name, errors)) \
            return __real_##name arguments; \
        if (error) \
            error->code = CJOSE_ERR_NO_MEMORY; \
        return failure; \
    }

FAILING_CJOSE(cjose_jwk_t *, cjose_jwk_create_oct_spec, (const uint8_t *bytes, size_t size, cjose_err *error), (bytes, size, error), NULL)
FAILING_CJOSE(cjose_jwk_t *, cjose_jwk_import_json, (cjose_header_t * json, cjose_err *error), (json, error), NULL)
FAILING_CJOSE(cjose_jws_t *, cjose_jws_import, (const char *text, size_t size, cjose_err *error), (text, size, error), NULL)
FAILING_CJOSE(bool, cjose_jws_verify, (cjose_jws_t * jws, const cjose_jwk_t *key, cjose_err *error), (jws, key, error), false)
FAILING_CJOSE(bool, cjose_base64url_decode, (const char *text, size_t size, uint8_t **bytes, size_t *count, cjose_err *error),
              (text, size, bytes, count, error), false)
