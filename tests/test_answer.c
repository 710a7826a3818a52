#include "answer.h"

#include "buffer.h"
#include "fcgi.h"
#include "framing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The response's text; the records around it are test_framing's. Lives until the next call. */
static const char *text_of(struct buffer *answer)
{
    static char text[4096];
    struct span content;
    size_t offset = 0;

    assert_non_null(answer);
    assert_true(fcgi_next_content(buffer_span(answer), &offset, &content));
    assert_true(content.size < sizeof text);
    memcpy(text, content.bytes, content.size);
    text[content.size] = '\0';
    buffer_unref(answer);
    return text;
}

static void assert_starts(const char *text, const char *start)
{
    if (strncmp(text, start, strlen(start)) != 0)
        assert_string_equal(text, start);
}

static void assert_holds(const char *text, const char *part)
{
    if (!strstr(text, part))
        assert_string_equal(text, part);
}

static const struct {
    int status;
    const char *line;
} STATUSES[] = {
    {400, "Status: 400 Bad Request\r\n"},          {401, "Status: 401 Unauthorized\r\n"},
    {403, "Status: 403 Forbidden\r\n"},            {404, "Status: 404 Not Found\r\n"},
    {405, "Status: 405 Method Not Allowed\r\n"},   {413, "Status: 413 Content Too Large\r\n"},
    {431, "Status: 431 Request Header Fields Too Large\r\n"}, {500, "Status: 500 Internal Server Error\r\n"},
};

static void a_problem_is_json_with_its_status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) {
        struct problem problem = {.status = STATUSES[i].status, .code = "some_code", .message = "say \"what\" to do"};
        const char *text = text_of(answer_problem(&framing_fastcgi, 1, &problem));

        assert_starts(text, STATUSES[i].line);
        assert_holds(text, "\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n");
        assert_holds(text, "\r\n\r\n{\"error\":\"some_code\",\"message\":\"say \\\"what\\\" to do\"}\n");
    }
}

static void only_401_names_the_scheme(void **state)
{
    struct problem problem = {.status = 401, .code = "token_invalid"};

    (void)state;
    assert_holds(text_of(answer_problem(&framing_fastcgi, 1, &problem)), "\r\nWWW-Authenticate: Bearer error=\"invalid_token\"\r\n");
    problem.status = 403;
    assert_null(strstr(text_of(answer_problem(&framing_fastcgi, 1, &problem)), "WWW-Authenticate:"));
}

static void only_405_names_the_methods(void **state)
{
    struct problem problem = {.status = 405, .code = "method_not_allowed", .allow = "POST, OPTIONS"};

    (void)state;
    assert_holds(text_of(answer_problem(&framing_fastcgi, 1, &problem)), "\r\nAllow: POST, OPTIONS\r\n");
    (void)problem_set(&problem, 403, "not_allowed", "no");
    assert_null(strstr(text_of(answer_problem(&framing_fastcgi, 1, &problem)), "Allow:"));
}

/* EventSource would never come back after a 503. */
static void a_refused_stream_is_200_with_a_retry_and_no_event(void **state)
{
    const char *text = text_of(answer_refusal(&framing_fastcgi, 1, TRANSPORT_SSE, 12345));

    (void)state;
    assert_starts(text, "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n");
    assert_holds(text, "\r\n\r\n:\nretry: 12345\n");
    assert_null(strstr(text, "data:"));
    assert_null(strstr(text, "\n\n"));
}

static void a_refused_poll_is_503_with_whole_seconds_rounded_up(void **state)
{
    const char *text = text_of(answer_refusal(&framing_fastcgi, 1, TRANSPORT_POLL, 5001));

    (void)state;
    assert_starts(text, "Status: 503 Service Unavailable\r\nContent-Type: application/json\r\n");
    assert_holds(text, "\r\nRetry-After: 6\r\n");
    assert_holds(text, "{\"error\":\"unavailable\",");
}

static void health_is_200_ok(void **state)
{
    const char *text = text_of(answer_health(&framing_fastcgi, 1, METHOD_GET));

    (void)state;
    assert_starts(text, "Status: 200 OK\r\nContent-Type: text/plain\r\n");
    assert_holds(text, "\r\n\r\nok\n");
}

static void what_head_asks_for_has_no_body(void **state)
{
    struct problem problem;

    (void)state;
    (void)problem_set(&problem, 403, "not_allowed", "No.");
    problem.without_body = true;
    assert_string_equal(text_of(answer_problem(&framing_fastcgi, 1, &problem)),
                        "Status: 403 Forbidden\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\r\n");
    assert_string_equal(text_of(answer_health(&framing_fastcgi, 1, METHOD_HEAD)),
                        "Status: 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n\r\n");
}

static void options_is_204_with_the_methods(void **state)
{
    (void)state;
    assert_string_equal(text_of(answer_options(&framing_fastcgi, 1, ENDPOINT_SUBSCRIBE)),
                        "Status: 204 No Content\r\nAllow: GET, HEAD, OPTIONS\r\n\r\n");
    assert_string_equal(text_of(answer_options(&framing_fastcgi, 1, ENDPOINT_PUBLISH)), "Status: 204 No Content\r\nAllow: POST, OPTIONS\r\n\r\n");
}

static void what_was_published_is_202_with_its_json(void **state)
{
    const char *text = text_of(answer_published(&framing_fastcgi, 1, span_of("{\"ids\":[]}\n")));

    (void)state;
    assert_starts(text, "Status: 202 Accepted\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n");
    assert_holds(text, "\r\nContent-Length: 11\r\n\r\n{\"ids\":[]}\n");
}

static void unavailable_is_503_with_the_time_and_the_reason(void **state)
{
    const char *text = text_of(answer_unavailable(&framing_fastcgi, 1, 1000, "Later."));

    (void)state;
    assert_starts(text, "Status: 503 Service Unavailable\r\n");
    assert_holds(text, "\r\nRetry-After: 1\r\n");
    assert_holds(text, "\r\n\r\n{\"error\":\"unavailable\",\"message\":\"Later.\"}\n");
}

static void head_has_the_headers_of_its_transport_and_no_body(void **state)
{
    (void)state;
    assert_string_equal(text_of(answer_head(&framing_fastcgi, 1, TRANSPORT_SSE)),
                        "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n\r\n");
    assert_string_equal(text_of(answer_head(&framing_fastcgi, 1, TRANSPORT_POLL)),
                        "Status: 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_is_json_with_its_status),
        cmocka_unit_test(only_401_names_the_scheme),
        cmocka_unit_test(only_405_names_the_methods),
        cmocka_unit_test(a_refused_stream_is_200_with_a_retry_and_no_event),
        cmocka_unit_test(a_refused_poll_is_503_with_whole_seconds_rounded_up),
        cmocka_unit_test(health_is_200_ok),
        cmocka_unit_test(what_head_asks_for_has_no_body),
        cmocka_unit_test(options_is_204_with_the_methods),
        cmocka_unit_test(what_was_published_is_202_with_its_json),
        cmocka_unit_test(unavailable_is_503_with_the_time_and_the_reason),
        cmocka_unit_test(head_has_the_headers_of_its_transport_and_no_body),
    };

    return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
