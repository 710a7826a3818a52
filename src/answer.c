#include "answer.h"

#include "framing.h"
#include "text.h"

static const char *reason_phrase(int status)
{
    /* RFC 9110, section 15; RFC 6585 */
    switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

static struct buffer *whole(const struct framing *framing, uint16_t request_id, struct text *headers, struct text *body)
{
    struct buffer *answer = NULL;

    if (!headers->failed && !body->failed)
        answer = framing->whole(request_id, text_span(headers), text_span(body));
    text_finish(headers);
    text_finish(body);
    return answer;
}

static void append_error(struct text *body, const char *code, const char *message)
{
    text_append_string(body, "{\"error\":");
    text_append_json(body, span_of(code));
    text_append_string(body, ",\"message\":");
    text_append_json(body, span_of(message));
    text_append_string(body, "}\n");
}

struct buffer *answer_problem(const struct framing *framing, uint16_t request_id, const struct problem *problem)
{
    struct text headers = TEXT_EMPTY, body = TEXT_EMPTY;

    text_append_format(&headers, "Status: %d %s\r\n", problem->status, reason_phrase(problem->status));
    text_append_string(&headers, "Content-Type: application/json\r\nCache-Control: no-store\r\n");
    if (problem->allow)
        text_append_format(&headers, "Allow: %s\r\n", problem->allow);
    if (problem->status == 401)
        text_append_string(&headers, "WWW-Authenticate: Bearer error=\"invalid_token\"\r\n"); /* RFC 6750, section 3 */
    if (!problem->without_body)
        append_error(&body, problem->code, problem->message);
    return whole(framing, request_id, &headers, &body);
}

static struct buffer *refuse_stream(const struct framing *framing, uint16_t request_id, int64_t retry_ms)
{
    struct text headers = TEXT_EMPTY, body = TEXT_EMPTY;

    text_append_string(&headers, "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                                 "X-Accel-Buffering: no\r\n");
    text_append_format(&body, ":\nretry: %lld\n", (long long)retry_ms);
    return whole(framing, request_id, &headers, &body);
}

struct buffer *answer_unavailable(const struct framing *framing, uint16_t request_id, int64_t retry_ms, const char *message)
{
    struct text headers = TEXT_EMPTY, body = TEXT_EMPTY;

    text_append_format(&headers, "Status: 503 %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n",
                       reason_phrase(503));
    text_append_format(&headers, "Retry-After: %lld\r\n", (long long)((retry_ms + 999) / 1000));
    append_error(&body, "unavailable", message);
    return whole(framing, request_id, &headers, &body);
}

struct buffer *answer_refusal(const struct framing *framing, uint16_t request_id, enum request_transport transport, int64_t retry_ms)
{
    if (transport == TRANSPORT_SSE)
        return refuse_stream(framing, request_id, retry_ms);
    return answer_unavailable(framing, request_id, retry_ms, "No more clients are taken at the moment: come back after the seconds in Retry-After.");
}

struct buffer *answer_published(const struct framing *framing, uint16_t request_id, struct span json)
{
    return framing->whole(request_id, span_of("Status: 202 Accepted\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n"), json);
}

struct buffer *answer_health(const struct framing *framing, uint16_t request_id, enum request_method method)
{
    return framing->whole(request_id, span_of("Status: 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-store\r\n"),
                          span_of(method == METHOD_HEAD ? "" : "ok\n"));
}

struct buffer *answer_options(const struct framing *framing, uint16_t request_id, enum request_endpoint endpoint)
{
    struct text headers = TEXT_EMPTY, body = TEXT_EMPTY;

    text_append_format(&headers, "Status: 204 No Content\r\nAllow: %s\r\n", request_allowed_methods(endpoint));
    return whole(framing, request_id, &headers, &body);
}

struct buffer *answer_head(const struct framing *framing, uint16_t request_id, enum request_transport transport)
{
    const char *headers = transport == TRANSPORT_SSE
        ? "Status: 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
        : "Status: 200 OK\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n";

    return framing->whole(request_id, span_of(headers), (struct span){0});
}
