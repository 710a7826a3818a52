/*
 * decoder: a memory file that libfcgi takes for its connection. Owns the file and its map. libfcgi closes the file when it cannot read
 * a request, so it is made anew on demand. It knows nothing of records: the scanner let through only what libfcgi reads without answering.
 *
 *     0                                    size - records      size
 *     │ zeros, or what is left of requests before │ the records │
 *                                                 └ libfcgi reads from here to the end of the file, and there is nothing else ahead of it
 */
#include "decoder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A larger request has a file of its own. */
enum { KEPT_BYTES = 16 * 1024 };

bool decoder_library_init(void)
{
    return FCGX_Init() == 0;
}

void decoder_init(struct decoder *decoder)
{
    *decoder = (struct decoder){.file = -1};
}

static void drop_file(struct decoder *decoder)
{
    if (decoder->map)
        munmap(decoder->map, decoder->size);
    if (decoder->file >= 0)
        close(decoder->file);
    decoder_init(decoder);
}

void decoder_finish(struct decoder *decoder)
{
    drop_file(decoder);
}

/*
 * Nobody can write into the file but by the map that is there. Kernels before 5.1 only refuse what would make it larger: whatever was
 * written after a request that was read to its end.
 */
static bool seal_file(int file)
{
    return fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) == 0 ||
           fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0;
}

/* With all its memory, so that lack of it shows here and not as SIGBUS. */
static bool allocate(int file, size_t size)
{
    int result;

    do
        result = fallocate(file, 0, 0, (off_t)size);
    while (result < 0 && errno == EINTR);
    return result == 0;
}

static bool make_file(struct decoder *decoder, size_t size)
{
    void *map;

    drop_file(decoder);
    decoder->file = memfd_create("fastcgi-request", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (decoder->file < 0 || !allocate(decoder->file, size))
        return false;
    map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, decoder->file, 0);
    if (map == MAP_FAILED)
        return false;
    decoder->map = map;
    decoder->size = size;
    (void)fcntl(decoder->file, F_SETFL, O_NOATIME); /* a read that changes nothing is cheaper */
    return seal_file(decoder->file);
}

/* Puts `records` at the end of the file, and goes to their start. */
static bool fill_file(struct decoder *decoder, struct span records)
{
    if ((decoder->file < 0 || records.size > decoder->size) &&
        !make_file(decoder, records.size > KEPT_BYTES ? records.size : KEPT_BYTES))
        return false;
    if (records.size > 0)
        memcpy(decoder->map + decoder->size - records.size, records.bytes, records.size);
    return lseek(decoder->file, (off_t)(decoder->size - records.size), SEEK_SET) >= 0;
}

enum decoder_result decoder_decode(struct decoder *decoder, struct span records)
{
    if (!fill_file(decoder, records)) {
        int error = errno;

        drop_file(decoder);
        errno = error;
        return DECODER_ERROR;
    }
    FCGX_InitRequest(&decoder->request, -1, 0); /* no listener: after a bad request libfcgi finds none to wait at, and gives up */
    decoder->request.ipcFd = decoder->file;
    decoder->request.keepConnection = 1;
    if (FCGX_Accept_r(&decoder->request) < 0) {
        decoder->file = -1; /* closed by libfcgi */
        drop_file(decoder);
        return DECODER_BAD;
    }
    /* PARAMS without an end, or with something else behind them, are no failure to FCGX_Accept_r. */
    if (FCGX_GetError(decoder->request.in)) {
        decoder_release(decoder);
        return DECODER_BAD;
    }
    return DECODER_DONE;
}

void decoder_release(struct decoder *decoder)
{
    FCGX_Free(&decoder->request, 0);
    if (decoder->size > KEPT_BYTES)
        drop_file(decoder);
}
