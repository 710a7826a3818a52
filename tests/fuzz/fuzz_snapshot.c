/* Snapshots: an input is what stands between version and end. What is good of it is written, and is read and written to the same bytes. */
#include "snapshot_form.h"
#include "snapshot_reader.h"
#include "snapshot_writer.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* What was read of `file`, which is forgotten, written anew; `wanted` is how it should be read, else the text is empty. */
static struct text pass(struct text file, enum snapshot_result wanted)
{
    struct snapshot_reader reader;
    struct snapshot_writer writer;
    struct text again = TEXT_EMPTY;
    size_t used;

    assert(snapshot_reader_init(&reader, 1763899200000, 5000000));
    snapshot_writer_init(&writer, reader.snapshot);
    if (snapshot_read(&reader, text_span(&file), &used) == wanted)
        while (snapshot_write(&writer, &again))
            ;
    snapshot_reader_finish(&reader);
    text_finish(&file);
    return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct text file = TEXT_EMPTY;

    text_append(&file, (struct span){SNAPSHOT_MAGIC "\1\0\0", SNAPSHOT_BEGIN_BYTES});
    text_append(&file, (struct span){(const char *)bytes, size});
    file = pass(file, SNAPSHOT_MORE);
    size = file.size;
    file = pass(file, SNAPSHOT_WHOLE);
    assert(file.size == size);
    text_finish(&file);
    return 0;
}
