/* How a request is to be answered: method, endpoint, and the transport, which also a refusal needs. */
#include "request_fixture.h"

static void the_transport_follows_accept_unless_the_query_names_it(void **state)
{
    static const struct {
        const char *accept, *query;
        enum request_transport transport;
    } rows[] = {
        {NULL, NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=*/*", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=text/html", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=text/event-stream", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=application/json", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=Application/JSON;q=0.9", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=text/html ,\t application/json ; q=0.5, */*", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json, text/event-stream", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=text/event-stream, application/json", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=application/jsonp, application/json5;application/json", NULL, TRANSPORT_SSE},
        {"HTTP_ACCEPT=,, ;,application/json", NULL, TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=transport=sse", TRANSPORT_SSE},
        {"HTTP_ACCEPT=text/event-stream", "QUERY_STRING=transport=poll", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=transport=sse&transport=poll", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=%74ransport=%70oll", TRANSPORT_POLL},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(parse(f, rows[i].accept, rows[i].query));
        if (f->request.transport != rows[i].transport)
            fail_msg("%s %s", rows[i].accept ? rows[i].accept : "", rows[i].query ? rows[i].query : "");
    }
}

static void a_refusal_knows_the_transport_whatever_is_wrong(void **state)
{
    static const struct {
        const char *wrong, *query;
        enum request_transport transport;
    } rows[] = {
        {"SIDECAST_ENDPOINT=nowhere", "QUERY_STRING=transport=poll", TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=channel=a,*", TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=transport=x", TRANSPORT_POLL},
        {"HTTP_ACCEPT=application/json", "QUERY_STRING=%&last=x&transport=sse", TRANSPORT_SSE},
        {NULL, "QUERY_STRING=transport=sse&channel=a+b&transport=poll", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=channel=%zz&transport=poll&transport=%zz", TRANSPORT_POLL},
        {NULL, "QUERY_STRING=transport=poll%zz", TRANSPORT_SSE},
        {NULL, "QUERY_STRING=transport%zz=poll", TRANSPORT_SSE},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_false(parse(f, rows[i].wrong, rows[i].query));
        assert_int_equal(f->request.transport, rows[i].transport);
    }
    const char *post[] = {"REQUEST_METHOD=POST", "QUERY_STRING=transport=poll"};
    assert_false(parse_params(f, post, 2));
    assert_int_equal(f->request.transport, TRANSPORT_POLL);
}

static void get_head_and_options_are_the_methods(void **state)
{
    static const struct {
        const char *method;
        int result; /* enum request_method, -1: refused */
    } rows[] = {
        {"REQUEST_METHOD=GET", METHOD_GET}, {"REQUEST_METHOD=HEAD", METHOD_HEAD}, {"REQUEST_METHOD=OPTIONS", METHOD_OPTIONS},
        {"REQUEST_METHOD=POST", -1},        {"REQUEST_METHOD=get", -1},           {"REQUEST_METHOD=GETS", -1},
        {"REQUEST_METHOD=", -1},            {NULL, -1},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *params[] = {rows[i].method, "QUERY_STRING=channel=a"};

        assert_int_equal(parse_params(f, params, 2), rows[i].result >= 0);
        if (rows[i].result >= 0)
            assert_int_equal(f->request.method, rows[i].result);
        else
            assert_problem(f, 405, "method_not_allowed");
    }
}

static void publishing_takes_post_and_options_and_reads_nothing_else(void **state)
{
    static const char *const refused[] = {"REQUEST_METHOD=GET", "REQUEST_METHOD=HEAD", "REQUEST_METHOD=PUT"};
    struct fixture *f = *state;

#define PUBLISH(method) parse_params(f, STRINGS("SIDECAST_ENDPOINT=publish", method, "QUERY_STRING=channel=*"), 3)
    assert_true(PUBLISH("REQUEST_METHOD=POST"));
    assert_int_equal(f->request.endpoint, ENDPOINT_PUBLISH);
    assert_int_equal(f->request.method, METHOD_POST);
    assert_int_equal(f->request.channels.count, 0);
    assert_true(PUBLISH("REQUEST_METHOD=OPTIONS"));
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_false(PUBLISH(refused[i]));
        assert_problem(f, 405, "method_not_allowed");
        assert_string_equal(f->problem.allow, "POST, OPTIONS");
    }
    assert_false(parse_params(f, STRINGS("REQUEST_METHOD=POST"), 1));
    assert_string_equal(f->problem.allow, "GET, HEAD, OPTIONS");
    assert_false(parse_params(f, STRINGS("REQUEST_METHOD=POST", "SIDECAST_ENDPOINT=health"), 2));
}

static void the_endpoint_is_named_by_the_front_end(void **state)
{
    struct fixture *f = *state;

    assert_true(parse(f, "SIDECAST_ENDPOINT="));
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_true(parse(f, "SIDECAST_ENDPOINT=subscribe"));
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_true(parse(f, "SIDECAST_ENDPOINT=health", "QUERY_STRING=channel=a,*", "SIDECAST_CHANNELS=*"));
    assert_int_equal(f->request.endpoint, ENDPOINT_HEALTH);
    assert_true(parse(f, "HTTP_SIDECAST_ENDPOINT=health"));
    assert_int_equal(f->request.endpoint, ENDPOINT_SUBSCRIBE);
    assert_false(parse(f, "SIDECAST_ENDPOINT=Health"));
    assert_problem(f, 404, "unknown_endpoint");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(the_transport_follows_accept_unless_the_query_names_it),
        TEST(a_refusal_knows_the_transport_whatever_is_wrong),
        TEST(get_head_and_options_are_the_methods),
        TEST(publishing_takes_post_and_options_and_reads_nothing_else),
        TEST(the_endpoint_is_named_by_the_front_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
