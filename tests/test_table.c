#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    UT_hash_handle hh;
    unsigned char name_size;
    char name[32];
};

static struct item *add(struct item **table, const char *name)
{
    struct item *item = calloc(1, sizeof *item);

    assert_non_null(item);
    item->name_size = (unsigned char)strlen(name);
    strcpy(item->name, name);
    HASH_ADD(hh, *table, name, item->name_size, item);
    assert_non_null(item->hh.tbl);
    return item;
}

static void what_was_added_is_found_by_its_bytes(void **state)
{
    struct item *table = NULL, *found, *next;
    char name[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "channel-%d", i);
        add(&table, name);
    }
    assert_int_equal(HASH_COUNT(table), 1000);
    HASH_FIND(hh, table, "channel-999", 11, found);
    assert_string_equal(found->name, "channel-999");
    HASH_FIND(hh, table, "channel-99", 10, found);
    assert_string_equal(found->name, "channel-99");
    HASH_FIND(hh, table, "channel-1000", 12, found);
    assert_null(found);
    HASH_ITER(hh, table, found, next) {
        HASH_DEL(table, found);
        free(found);
    }
}

static void equal_bytes_have_equal_hashes(void **state)
{
    char copy[] = "news/sport";

    (void)state;
    assert_int_equal(table_hash("news/sport", 10), table_hash(copy, 10));
    assert_int_not_equal(table_hash("news/sport", 10), table_hash(copy, 9));
}

/* A hash that somebody outside could compute would let him choose names that collide. */
static void a_new_key_gives_other_hashes(void **state)
{
    unsigned before[8], same = 0;

    (void)state;
    for (unsigned char i = 0; i < 8; i++)
        before[i] = table_hash(&i, 1);
    assert_true(table_init());
    for (unsigned char i = 0; i < 8; i++)
        same += table_hash(&i, 1) == before[i];
    assert_true(same < 8);
}

static void with_the_key_of_before_hashes_are_as_before(void **state)
{
    unsigned char key[TABLE_KEY_BYTES];
    unsigned before[8];

    (void)state;
    table_get_key(key);
    for (unsigned char i = 0; i < 8; i++)
        before[i] = table_hash(&i, 1);
    assert_true(table_init());
    table_set_key(key);
    for (unsigned char i = 0; i < 8; i++)
        assert_int_equal(table_hash(&i, 1), before[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_found_by_its_bytes),
        cmocka_unit_test(equal_bytes_have_equal_hashes),
        cmocka_unit_test(a_new_key_gives_other_hashes),
        cmocka_unit_test(with_the_key_of_before_hashes_are_as_before),
    };

    if (!table_init())
        return 1;
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
