/*
 * decoder: a memory file that libfcgi takes for its connection. Owns the file. libfcgi closes it when it cannot read a request,
 * so it is made anew on demand. It knows nothing of records: the scanner let through only what libfcgi reads without answering.
 */
#include "decoder.h"

#include <assert.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool decoder_library_init(void)
{
    return FCGX_Init() == 0;
}

void decoder_init(struct decoder *decoder)
{
    *decoder = (struct decoder){.file = -1};
}

static void close_file(struct decoder *decoder)
{
    if (decoder->file >= 0)
        close(decoder->file);
    decoder->file = -1;
}

void decoder_finish(struct decoder *decoder)
{
    close_file(decoder);
}

/* Puts `records` into the file, and nothing else, and goes to its start. */
static bool fill_file(struct decoder *decoder, struct span records)
{
    size_t written = 0;

    if (decoder->file < 0)
        decoder->file = memfd_create("fastcgi-request", MFD_CLOEXEC);
    if (decoder->file < 0 || ftruncate(decoder->file, 0) < 0 || lseek(decoder->file, 0, SEEK_SET) < 0)
        return false;
    while (written < records.size) {
        ssize_t size = pwrite(decoder->file, records.bytes + written, records.size - written, (off_t)written);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return false;
        written += (size_t)size;
    }
    decoder->size = records.size;
    return true;
}

static void assert_untouched(const struct decoder *decoder)
{
    struct stat status;

    assert(fstat(decoder->file, &status) == 0);
    assert((size_t)status.st_size == decoder->size);
}

enum decoder_result decoder_decode(struct decoder *decoder, struct span records)
{
    if (!fill_file(decoder, records)) {
        int error = errno;

        close_file(decoder);
        errno = error;
        return DECODER_ERROR;
    }
    FCGX_InitRequest(&decoder->request, -1, 0); /* no listener: after a bad request libfcgi finds none to wait at, and gives up */
    decoder->request.ipcFd = decoder->file;
    decoder->request.keepConnection = 1;
    if (FCGX_Accept_r(&decoder->request) < 0) {
        decoder->file = -1; /* closed by libfcgi */
        return DECODER_BAD;
    }
    /* PARAMS without an end, or with something else behind them, are no failure to FCGX_Accept_r. */
    if (FCGX_GetError(decoder->request.in)) {
        decoder_release(decoder);
        return DECODER_BAD;
    }
    assert_untouched(decoder);
    return DECODER_DONE;
}

void decoder_release(struct decoder *decoder)
{
    assert_untouched(decoder); /* reading the body goes through records too */
    FCGX_Free(&decoder->request, 0);
}
