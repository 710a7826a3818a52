/*
 * The control of publishing: what libzmq takes for a message of two frames (channel, data of 200 bytes) on a PUSH socket that is
 * connected and has had nothing to do for a millisecond, so that its thread sleeps and has to be woken.
 *
 *     push ENDPOINT MESSAGES
 *
 * Prints median_us and p99_us; the first tenth of the messages is not counted.
 */
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { IDLE_NS = 1000000, DATA_BYTES = 200, MESSAGES_MAX = 100000 };

static double now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static double send_once(void *push)
{
    static const char channel[] = "bench/page";
    char data[DATA_BYTES];
    double began;

    memset(data, 'x', sizeof data);
    nanosleep(&(struct timespec){.tv_nsec = IDLE_NS}, NULL);
    began = now_us();
    if (zmq_send(push, channel, strlen(channel), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(push, data, sizeof data, ZMQ_DONTWAIT) < 0)
        errx(1, "zmq_send: %s", zmq_strerror(errno));
    return now_us() - began;
}

static int compare(const void *a, const void *b)
{
    const double *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

int main(int argc, char **argv)
{
    static double times[MESSAGES_MAX];
    int count = argc == 3 ? atoi(argv[2]) : 0, warm = count / 10;
    void *context = zmq_ctx_new(), *push = zmq_socket(context, ZMQ_PUSH);

    if (count < 10 || count > MESSAGES_MAX)
        errx(2, "usage: push ENDPOINT MESSAGES");
    if (!push || zmq_connect(push, argv[1]) < 0)
        errx(1, "%s: %s", argv[1], zmq_strerror(errno));
    for (int i = 0; i < count; i++)
        times[i] = send_once(push);
    qsort(times + warm, (size_t)(count - warm), sizeof *times, compare);
    printf("median_us=%.1f p99_us=%.1f\n", times[warm + (count - warm) / 2], times[warm + (count - warm) * 99 / 100]);
    zmq_close(push);
    zmq_ctx_term(context);
    return 0;
}
