/* names: repeats are found by sorting, not by comparing each with each, so that no input costs the square of its length. */
#include "names.h"

#include <stdlib.h>

bool names_add(struct string_list *names, struct span item)
{
    if ((names->count & (names->count - 1)) == 0) { /* a power of two, or none: full */
        char **items = realloc(names->items, (names->count ? 2 * names->count : 1) * sizeof *items);

        if (!items)
            return false;
        names->items = items;
    }
    names->items[names->count] = strndup(item.bytes, item.size);
    if (!names->items[names->count])
        return false;
    names->count++;
    return true;
}

void names_finish(struct string_list *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct string_list){0};
}

/* By string, then by place. */
static int compare_places(const void *a, const void *b)
{
    char *const *x = *(char *const *const *)a, *const *y = *(char *const *const *)b;
    int order = strcmp(*x, *y);

    return order ? order : (x > y) - (x < y);
}

bool names_drop_repeats(struct string_list *names)
{
    size_t kept = 0, count = names->count;

    if (count < 2)
        return true;
    char ***places = malloc(count * sizeof *places);
    if (!places)
        return false;
    for (size_t i = 0; i < count; i++)
        places[i] = &names->items[i];
    qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 1, first = 0; i < count; i++) {
        if (strcmp(*places[i], *places[first]) != 0) {
            first = i;
            continue;
        }
        free(*places[i]);
        *places[i] = NULL;
    }
    free(places);
    for (size_t i = 0; i < count; i++)
        if (names->items[i])
            names->items[kept++] = names->items[i];
    names->count = kept;
    return true;
}

bool names_have(const struct string_list *names, const char *item)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], item) == 0)
            return true;
    return false;
}
