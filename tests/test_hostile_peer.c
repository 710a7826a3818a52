/*
 * A malicious FastCGI peer: records of every type at every state of a connection, with its request's id, another one and none, and with lengths that lie.
 * Each cell has a connection and a server of its own, and a bystander who gets every message.
 */
#include "publishing_fixture.h"

enum peer_state { FRESH, BEGUN, IN_PARAMS, PARAMS_ENDED, IN_STDIN, STREAMING, POLLING, PUBLISHING, ANSWERED, DISCARDING, DRAINING, STATES };

static const unsigned char TYPES[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 255};
enum { TYPE_COUNT = sizeof TYPES / sizeof *TYPES };

/*
 * What comes of a record on a connection that is to be kept, one letter for each of TYPES:
 *   .  nothing: what was begun goes on to its right answer
 *   +  nothing as yet: it is part of a request
 *   !  the request is whole, and is answered
 *   v  a management answer; what was begun goes on
 *   m  FCGI_END_REQUEST that refuses it (FCGI_CANT_MPX_CONN); what was begun goes on
 *   a  FCGI_END_REQUEST of an abort; the next request on the connection is served
 *   e  the same, and the connection is closed
 *   c  it is closed
 *   x  it is closed, and counted: protocol_errors
 */
static const struct {
    const char *name;
    const char *own, *own_empty; /* with the id of the request, with content and without */
    const char *other;           /* with another id, and content */
} OUTCOMES[STATES] = {
    /*                                     type: 0123456789…           0123456789…       0123456789… */
    [FRESH] = {"a fresh connection",           ".+............", ".x............", ".+............"},
    [BEGUN] = {"after BEGIN_REQUEST",          ".xa.+x........", ".xa.+x........", ".m............"},
    [IN_PARAMS] = {"between PARAMS",           ".xa.+x........", ".xa.xx........", ".m............"},
    [PARAMS_ENDED] = {"after the last PARAMS", ".xa.x.........", ".xa.x!........", ".m............"},
    [IN_STDIN] = {"between STDIN",             ".xa.x.........", ".xa.x!........", ".m............"},
    [STREAMING] = {"in a stream",              ".xa...........", ".xa...........", ".m............"},
    [POLLING] = {"while a poll waits",         ".xa...........", ".xa...........", ".m............"},
    [PUBLISHING] = {"while a publisher waits",  ".xa...........", ".xa...........", ".m............"},
    [ANSWERED] = {"after an answer",           ".+............", ".x............", ".+............"},
    [DISCARDING] = {"after a 413",             ".xc.x.........", ".xc.x+........", ".m............"},
    [DRAINING] = {"in a stream that drains",   ".xe...........", ".xe...........", ".m............"},
};
static const char OTHER_EMPTY[] = ".x............", MANAGEMENT[] = "vvvvvvvvvvvvvv", VERSION[] = "xxxxxxxxxxxxxx", CUT[] = "++++++++++++++";

/* A connection in one of the states, and what its request lacks. */
struct scene {
    struct fixture *fixture;
    struct peer bystander, peer;
    enum peer_state at;
    bool keep;
    struct text rest;
};

/* Up to the state before the answer: half of the parameters, or of the body, are a record of their own. */
static void begin(struct scene *scene)
{
    static const struct span halves[][2] = {{{"\16\3REQUEST_METHODGE", 18}, {"T\14\14QUERY_STRINGchannel=news", 27}}, {{"bo", 2}, {"dy", 2}}};
    struct text bytes = TEXT_EMPTY;
    size_t ends[STATES] = {0};

    put_begin(&bytes, 1, scene->keep);
    ends[BEGUN] = bytes.size;
    put_record(&bytes, FCGI_PARAMS, 1, halves[0][0]);
    ends[IN_PARAMS] = bytes.size;
    put_record(&bytes, FCGI_PARAMS, 1, halves[0][1]);
    put_record(&bytes, FCGI_PARAMS, 1, (struct span){0});
    ends[PARAMS_ENDED] = bytes.size;
    put_record(&bytes, FCGI_STDIN, 1, halves[1][0]);
    ends[IN_STDIN] = bytes.size;
    put_record(&bytes, FCGI_STDIN, 1, halves[1][1]);
    put_record(&bytes, FCGI_STDIN, 1, (struct span){0});
    send_bytes(&scene->peer, (struct span){bytes.bytes, ends[scene->at]});
    text_append(&scene->rest, (struct span){bytes.bytes + ends[scene->at], bytes.size - ends[scene->at]});
    text_finish(&bytes);
}

static void ask_too_large(struct scene *scene)
{
    static char body[1025];
    struct text bytes = request_of(&(struct call){.query = "channel=news", .keep = scene->keep, .body = {body, sizeof body}});
    size_t size = bytes.size - FCGI_HEADER_BYTES;

    send_bytes(&scene->peer, (struct span){bytes.bytes, size});
    text_append(&scene->rest, (struct span){bytes.bytes + size, FCGI_HEADER_BYTES});
    text_finish(&bytes);
}

static void ask_poll(struct scene *scene)
{
    char query[100];

    snprintf(query, sizeof query, "channel=news&transport=poll&cursor=%llu-0", (unsigned long long)scene->fixture->hub.newest.ms);
    ask(&scene->peer, &(struct call){.query = query, .keep = scene->keep});
}

static void reach(struct scene *scene)
{
    if (scene->at <= IN_STDIN)
        begin(scene);
    else if (scene->at == DISCARDING)
        ask_too_large(scene);
    else if (scene->at == POLLING)
        ask_poll(scene);
    else if (scene->at == PUBLISHING)
        ask(&scene->peer, &(struct call){.method = "POST", .query = "channel=news", .endpoint = "publish", .keep = scene->keep, .body = {"x", 1}, .more = {ALL}});
    else if (scene->at == ANSWERED)
        ask(&scene->peer, &POLL);
    else
        ask(&scene->peer, &(struct call){.query = "channel=news", .keep = scene->keep, .body = {"body", 4}});
    if (scene->at == DRAINING)
        worker_order(&scene->fixture->worker, WORKER_SPREAD);
    receive(&scene->peer);
    clear(&scene->peer);
}

static struct scene set(enum peer_state at, bool keep)
{
    struct scene scene = {.at = at, .keep = keep};
    void *state;

    assert_int_equal(make_with_offers(&state), 0);
    scene.fixture = state;
    scene.fixture->settings.hub_drain = 24 * 60 * 60 * 1000; /* nobody's moment comes */
    scene.bystander = connect_peer(scene.fixture);
    ask(&scene.bystander, &(struct call){.query = "channel=bystander", .accept = "text/event-stream"});
    clear(&scene.bystander);
    scene.peer = connect_peer(scene.fixture);
    if (at == PUBLISHING)
        fill_inbox(scene.fixture);
    reach(&scene);
    return scene;
}

static char outcome_of(struct scene *scene)
{
    struct peer *peer = &scene->peer;

    receive(peer);
    if (peer->is_over)
        return scene->fixture->worker.metrics.protocol_errors ? 'x' : peer->ends ? 'e' : 'c';
    if (peer->others.size > 0)
        return 'v';
    if (peer->out.size > 0)
        return '!';
    return !peer->ends ? '.' : peer->end_status == FCGI_REQUEST_COMPLETE ? 'a' : 'm';
}

static void serves_the_next(struct scene *scene)
{
    clear(&scene->peer);
    ask(&scene->peer, &POLL);
    assert_starts(scene->peer.out, "Status: 200 OK\r\n");
}

static void goes_on(struct scene *scene)
{
    clear(&scene->peer);
    if (scene->at <= IN_STDIN) {
        send_text(&scene->peer, &scene->rest);
        receive(&scene->peer);
        assert_part(&scene->peer.out, "event: sidecast.open\n");
    } else if (scene->at == STREAMING || scene->at == POLLING || scene->at == DRAINING) {
        publish(scene->fixture, "news", span_of("goes on"));
        receive(&scene->peer);
        assert_part(&scene->peer.out, "goes on");
    } else if (scene->at == PUBLISHING) {
        empty_inbox(scene->fixture);
        receive(&scene->peer);
        assert_starts(scene->peer.out, "Status: 202 Accepted\r\n");
    } else {
        send_text(&scene->peer, &scene->rest);
        if (scene->keep)
            serves_the_next(scene);
        else
            assert_int_equal(outcome_of(scene), 'c');
    }
}

/* The bystander has got a message, and nothing else; nothing is left of the peer. */
static void strike(struct scene *scene)
{
    text_finish(&scene->rest);
    leave(&scene->peer);
    assert_int_equal(scene->fixture->worker.connection_count, 1);
    empty_inbox(scene->fixture);
    assert_int_equal(offers.count, 0);
    publish(scene->fixture, "bystander", span_of("all the same"));
    receive(&scene->bystander);
    assert_starts(scene->bystander.out, "id: ");
    assert_part(&scene->bystander.out, "\ndata: all the same\n\n");
    assert_false(scene->bystander.is_over);
    leave(&scene->bystander);
    void *state = scene->fixture;
    finish_with_offers(&state);
}

struct form {
    const char *name;
    uint16_t id;
    size_t content, told; /* bytes of content, and what its length says */
    unsigned char padding, version;
};

static void send_form(struct peer *peer, unsigned type, const struct form *form)
{
    static const char begin_body[8] = {0, FCGI_RESPONDER, FCGI_KEEP_CONN};
    char header[FCGI_HEADER_BYTES], padding[255] = {0};
    struct text record = TEXT_EMPTY;
    size_t size = form->content && type == FCGI_BEGIN_REQUEST ? sizeof begin_body : form->content;

    fcgi_put_header(header, type, form->id, form->told ? form->told : size);
    header[0] = (char)form->version;
    header[6] = (char)form->padding;
    text_append(&record, (struct span){header, sizeof header});
    text_append(&record, (struct span){begin_body, size});
    text_append(&record, (struct span){padding, form->padding});
    /* The peer may be closed before it has sent all. */
    (void)send(peer->fd, record.bytes, record.size, MSG_NOSIGNAL);
    text_finish(&record);
}

/* Where nothing follows on the connection it is closed. */
static char not_kept(enum peer_state at, const struct form *form, char expected)
{
    if (at == DISCARDING && expected == '+' && form->told == 0)
        return 'c';
    return expected == 'a' ? 'e' : expected;
}

static void try_one(enum peer_state at, bool keep, unsigned type, const struct form *form, char expected)
{
    struct scene scene = set(at, keep);
    char got;

    send_form(&scene.peer, type, form);
    got = outcome_of(&scene);
    if (got != expected && !(got == '.' && expected == '+'))
        fail_msg("%s%s, type %u %s: expected %c, got %c", OUTCOMES[at].name, keep ? "" : ", not kept", type, form->name, expected, got);
    if (expected == '.' || expected == 'v' || expected == 'm')
        goes_on(&scene);
    else if (expected == 'a')
        serves_the_next(&scene);
    strike(&scene);
}

static void try(enum peer_state at, const struct form *form, const char *expected)
{
    for (size_t i = 0; i < TYPE_COUNT; i++) {
        try_one(at, true, TYPES[i], form, expected[i]);
        if (at != ANSWERED)
            try_one(at, false, TYPES[i], form, not_kept(at, form, expected[i]));
    }
}

static void every_type_at_every_state_with_the_request_s_id(void **state)
{
    (void)state;
    for (enum peer_state at = 0; at < STATES; at++) {
        try(at, &(struct form){.name = "with content", .id = 1, .content = 1, .version = 1}, OUTCOMES[at].own);
        try(at, &(struct form){.name = "with content and padding", .id = 1, .content = 1, .padding = 255, .version = 1}, OUTCOMES[at].own);
        try(at, &(struct form){.name = "empty", .id = 1, .version = 1}, OUTCOMES[at].own_empty);
        try(at, &(struct form){.name = "of padding alone", .id = 1, .padding = 255, .version = 1}, OUTCOMES[at].own_empty);
    }
}

static void every_type_at_every_state_with_another_id(void **state)
{
    (void)state;
    for (enum peer_state at = 0; at < STATES; at++) {
        try(at, &(struct form){.name = "with another id", .id = 2, .content = 1, .version = 1}, OUTCOMES[at].other);
        try(at, &(struct form){.name = "with the largest id", .id = 65535, .content = 1, .padding = 1, .version = 1}, OUTCOMES[at].other);
        try(at, &(struct form){.name = "with another id, empty", .id = 2, .version = 1}, OTHER_EMPTY);
        try(at, &(struct form){.name = "with another id, of padding alone", .id = 2, .padding = 255, .version = 1}, OTHER_EMPTY);
    }
}

static void every_type_at_every_state_as_a_management_record(void **state)
{
    (void)state;
    for (enum peer_state at = 0; at < STATES; at++) {
        try(at, &(struct form){.name = "with id 0", .content = 1, .version = 1}, MANAGEMENT);
        try(at, &(struct form){.name = "with id 0, of padding alone", .padding = 255, .version = 1}, MANAGEMENT);
    }
}

/* The rest never comes: the peer leaves. */
static void every_type_at_every_state_cut(void **state)
{
    (void)state;
    for (enum peer_state at = 0; at < STATES; at++)
        for (uint16_t id = 0; id < 3; id++) {
            try(at, &(struct form){.name = "without its content", .id = id, .told = 1000, .version = 1}, CUT);
            try(at, &(struct form){.name = "with too little content", .id = id, .content = 8, .told = 9, .version = 1}, CUT);
        }
}

static void every_type_at_every_state_with_another_version(void **state)
{
    static const unsigned char VERSIONS[] = {0, 2, 'G', 255};

    (void)state;
    for (enum peer_state at = 0; at < STATES; at++)
        for (size_t i = 0; i < sizeof VERSIONS; i++)
            try(at, &(struct form){.name = "with another version", .id = (uint16_t)i, .version = VERSIONS[i]}, VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_at_every_state_with_the_request_s_id),
        cmocka_unit_test(every_type_at_every_state_with_another_id),
        cmocka_unit_test(every_type_at_every_state_as_a_management_record),
        cmocka_unit_test(every_type_at_every_state_cut),
        cmocka_unit_test(every_type_at_every_state_with_another_version),
    };

    return prepare() ? cmocka_run_group_tests_name("hostile peer", tests, NULL, NULL) : 1;
}
