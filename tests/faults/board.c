#include "board.h"

#include "clock.h"

#include <stddef.h>
#include <string.h>

struct board *board;

/* The linker's: our own objects lie between them. */
extern const char __executable_start[], etext[];

enum {
    FRAME_MOST = 65536, /* bytes of one function's frame */
    LACK_MS = 200,      /* how long a lack lasts at most: some wait a second before they try again */
};

static bool is_ours(uintptr_t address)
{
    return address > (uintptr_t)__executable_start && address < (uintptr_t)etext;
}

/* Who calls whom, as long as they are ours: a library keeps no frame pointers. */
__attribute__((no_sanitize("address", "undefined"))) static void walk(uintptr_t frames[BOARD_FRAMES])
{
    const uintptr_t *frame = __builtin_frame_address(0);
    int count = -2; /* the shim's own */

    for (; count < BOARD_FRAMES && is_ours(frame[1]); count++) {
        const uintptr_t *next = (const uintptr_t *)frame[0];

        if (count >= 0)
            frames[count] = frame[1];
        if (next <= frame || (const char *)next - (const char *)frame > FRAME_MOST || ((uintptr_t)next & 7) != 0)
            return;
        frame = next;
    }
}

static unsigned long hash_of(const char *call, const uintptr_t frames[BOARD_FRAMES], enum phase phase)
{
    unsigned long hash = 14695981039346656037UL; /* FNV-1a */

    for (; *call; call++)
        hash = (hash ^ (unsigned char)*call) * 1099511628211UL;
    for (int i = 0; i < BOARD_FRAMES && frames[i]; i++)
        hash = (hash ^ (frames[i] - (uintptr_t)__executable_start)) * 1099511628211UL;
    return ((hash ^ phase) * 1099511628211UL) | 1;
}

/* Its place, taken if it is new. NULL: the board is full. */
static struct site *site_of(const char *call, const int *errors)
{
    uintptr_t frames[BOARD_FRAMES] = {0};
    enum phase phase = (enum phase)atomic_load(&board->phase);
    unsigned long hash;

    walk(frames);
    hash = hash_of(call, frames, phase);
    for (size_t i = 0; i < BOARD_SITES; i++) {
        struct site *site = &board->sites[(hash + i) % BOARD_SITES];
        unsigned long found = 0;

        if (atomic_compare_exchange_strong(&site->hash, &found, hash)) {
            site->call = call;
            site->errors = errors;
            site->phase = phase;
            for (int n = 0; n < BOARD_FRAMES; n++)
                site->frames[n] = frames[n];
            return site;
        }
        if (found == hash)
            return site;
    }
    return NULL;
}

/* A resource that lacks is lacking a while: further calls that can fail with the same error do. The log is spared: it is to say what lacks. */
static int strike_again(const char *call, const int *errors)
{
    if (atomic_load(&board->streak_left) <= 0 || strstr(call, "(stderr)") || clock_monotonic_ms() > atomic_load(&board->struck_ms) + LACK_MS)
        return 0;
    for (; *errors; errors++)
        if (*errors == board->fault.error)
            return atomic_fetch_sub(&board->streak_left, 1) > 0 ? *errors : 0;
    return 0;
}

int board_strike(const char *call, const int *errors)
{
    struct site *site;

    if (!board)
        return 0;
    if (atomic_load(&board->is_struck))
        return strike_again(call, errors);
    site = site_of(call, errors);
    if (!site || atomic_fetch_add(&site->calls, 1) != board->fault.number || atomic_load(&site->hash) != board->fault.hash)
        return 0;
    atomic_store(&board->struck_ms, clock_monotonic_ms());
    atomic_store(&board->is_log_short, strstr(call, "(stderr)") != NULL);
    atomic_store(&board->streak_left, (int)board->fault.streak);
    atomic_store(&board->is_struck, true);
    return board->fault.error;
}
