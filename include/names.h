/* names: lists of strings: channel names as requests give them (in their order, each once), and what the configuration repeats. */
#ifndef NAMES_H
#define NAMES_H

#include "settings.h"
#include "span.h"

/* Appends a copy of `item`, which holds no NUL; false when memory lacks. `names` starts zeroed and is only added to by this. */
bool names_add(struct string_list *names, struct span item) __attribute__((warn_unused_result));

/* Keeps the first of equal names, in their order, in time n log n; false, and nothing changed, when memory lacks. */
bool names_drop_repeats(struct string_list *names) __attribute__((warn_unused_result));

bool names_have(const struct string_list *names, const char *item);

/* Frees what the list holds and leaves it empty. */
void names_finish(struct string_list *names);

#endif
