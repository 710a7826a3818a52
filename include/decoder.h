/*
 * decoder: libfcgi reads requests, and only that. The records of one whole request are written into a memory file, and libfcgi
 * decodes them from there: it must never meet a live socket, since it blocks in accept and read and writes answers of its own. The
 * file is sealed, so that the kernel refuses what libfcgi would write into it.
 * One per worker, for one request at a time.
 */
#ifndef DECODER_H
#define DECODER_H

#include "span.h"

#include <fcgiapp.h>

struct decoder {
    int file;    /* owned; -1 when it has to be made anew */
    size_t size; /* of the file */
    char *map;   /* of all of it; owned, and the only way to write into it */
    FCGX_Request request;
};

enum decoder_result {
    DECODER_DONE,  /* decoder->request.envp (borrowed) and .in are there until decoder_release */
    DECODER_BAD,   /* libfcgi could not make sense of it; nothing to release */
    DECODER_ERROR, /* no memory or descriptor: errno; nothing to release. Inside libfcgi lack of memory ends the process */
};

/* Called once per process before the first decoder; false when libfcgi cannot start. */
bool decoder_library_init(void) __attribute__((warn_unused_result));
/* Takes no descriptor yet: decoder_decode makes the file when it is missing. */
void decoder_init(struct decoder *decoder);
/* After decoder_release, if a request was decoded. */
void decoder_finish(struct decoder *decoder);
/*
 * `records`: BEGIN_REQUEST, PARAMS and STDIN of one responder request with their ends, as struct fcgi_scanner collects them. Read
 * the parameters with FCGX_GetParam (libfcgi adds FCGI_ROLE), the body with FCGX_GetStr. Does not block.
 */
enum decoder_result decoder_decode(struct decoder *decoder, struct span records) __attribute__((warn_unused_result));
/* Frees what libfcgi made of the request. The file stays, unless the request was a large one. */
void decoder_release(struct decoder *decoder);

#endif
