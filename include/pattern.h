/*
 * pattern: channel patterns. `*` stands for any characters but `/`, so it stays within one segment; `**` for any characters at
 * all; both also for none.
 * `orders/` followed by `*` matches orders/7 and not orders/7/lines; `orders/` followed by `**` matches both.
 */
#ifndef PATTERN_H
#define PATTERN_H

#include "span.h"

/* A pattern is a channel name in which `*` is allowed. */
bool pattern_is_valid(struct span pattern);

/*
 * Whether the whole of `name`, a channel name, matches the valid `pattern`. Time is bounded by the product of both lengths,
 * whatever the pattern.
 */
bool pattern_matches(struct span pattern, struct span name);

/*
 * Whether the valid pattern `grant` matches every name that `asked`, a valid pattern or a channel name, matches. Never true when
 * it does not. Exact when `asked` has no `**`; with it `grant` has to cover it sign by sign, so what it covers only as a whole is
 * refused: `**` + `/` + `*` by `*` + `/` + `**`. Time as above.
 */
bool pattern_covers(struct span grant, struct span asked);

#endif
