/* Where a request starts: cursors in all their spellings, and last=. */
#include "request_fixture.h"

static void cursors_are_read_in_all_their_spellings(void **state)
{
    static const struct {
        const char *header, *query;
        enum request_cursor kind;
        struct event_id cursor;
    } rows[] = {
        {"HTTP_LAST_EVENT_ID=7-3", NULL, CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=last_event_id=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventId=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventID=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=Last-Event-ID=7%2D3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=cursor=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=Cursor=7-3&LASTEVENTID=7-3", CURSOR_NONE, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7-3", "QUERY_STRING=cursor=9-9", CURSOR_ID, {7, 3}},
        {"HTTP_LAST_EVENT_ID=", "QUERY_STRING=cursor=9-9", CURSOR_ID, {9, 9}},
        {"HTTP_LAST_EVENT_ID=", NULL, CURSOR_NONE, {0, 0}},
        {NULL, "QUERY_STRING=cursor=9-9&lastEventId=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventId=7-3&cursor=9-9", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=lastEventId=&cursor=9-9", CURSOR_ID, {9, 9}},
        {NULL, "QUERY_STRING=cursor=9-9&cursor=7-3", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=cursor=7-3&cursor=", CURSOR_ID, {7, 3}},
        {NULL, "QUERY_STRING=cursor=", CURSOR_NONE, {0, 0}},
        {NULL, "QUERY_STRING=cursor=0", CURSOR_ZERO, {0, 0}},
        {"HTTP_LAST_EVENT_ID=0", NULL, CURSOR_ZERO, {0, 0}},
        {NULL, "QUERY_STRING=cursor=0-0", CURSOR_ID, {0, 0}},
        {NULL, "QUERY_STRING=cursor=1763899200123", CURSOR_TIME, {1763899200122, UINT64_MAX}},
        {NULL, "QUERY_STRING=cursor=x", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=%zz", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=%ff", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=7%00-3", CURSOR_BAD, {0, 0}},
        {NULL, "QUERY_STRING=cursor=0" TIMES_255("0"), CURSOR_BAD, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7-3\xff", "QUERY_STRING=cursor=9-9", CURSOR_BAD, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7%2D3", NULL, CURSOR_BAD, {0, 0}},
        {"HTTP_LAST_EVENT_ID=7-3", "QUERY_STRING=cursor=x", CURSOR_ID, {7, 3}},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].header, rows[i].query));
        if (f->request.cursor_kind != rows[i].kind || event_id_compare(f->request.cursor, rows[i].cursor) != 0)
            fail_msg("%s %s: kind %d", rows[i].header ? rows[i].header : "", rows[i].query ? rows[i].query : "",
                     f->request.cursor_kind);
    }
}

static void last_counts_only_without_a_cursor(void **state)
{
    static const struct {
        const char *header, *query;
        enum request_cursor kind;
        uint32_t last;
    } rows[] = {
        {NULL, "QUERY_STRING=last=1", CURSOR_LAST, 1},
        {NULL, "QUERY_STRING=last=007", CURSOR_LAST, 7},
        {NULL, "QUERY_STRING=last=2&last=5", CURSOR_LAST, 5},
        {NULL, "QUERY_STRING=last=4294967295", CURSOR_LAST, 4294967295},
        {NULL, "QUERY_STRING=last=4294967296", CURSOR_LAST, 4294967295},
        {NULL, "QUERY_STRING=last=18446744073709551617", CURSOR_LAST, 4294967295},
        {NULL, "QUERY_STRING=last=99999999999999999999999999999999999999", CURSOR_LAST, 4294967295},
        {"HTTP_LAST_EVENT_ID=", "QUERY_STRING=last=3&cursor=", CURSOR_LAST, 3},
    };
    static const char *const cursors[] = {"cursor=5-1", "cursor=0", "cursor=5", "cursor=x"};
    struct fixture *f = *state;
    char query[64];

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].header, rows[i].query));
        assert_int_equal(f->request.cursor_kind, rows[i].kind);
        assert_int_equal(f->request.last, rows[i].last);
    }
    for (size_t i = 0; i < COUNT(cursors); i++) {
        snprintf(query, sizeof query, "QUERY_STRING=last=3&%s", cursors[i]);
        assert_true(parse(f, query));
        assert_true(f->request.cursor_kind != CURSOR_LAST && f->request.cursor_kind != CURSOR_NONE);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(cursors_are_read_in_all_their_spellings),
        TEST(last_counts_only_without_a_cursor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
