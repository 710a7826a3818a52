/*
 * settings: every option, one line each: section, name, type, default, least, most, reloadable, help.
 * The table yields the struct, the parser, --help, the sample file and the check that docs/configuration.md names each option.
 * Types: list (of strings), string, mode (octal), flag (yes/no), number, size (bytes), time (milliseconds), level, policy.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "log.h"
#include "span.h"

#include <stdint.h>
#include <sys/types.h>

/* clang-format off */
#define SETTINGS(X) \
    X(fastcgi,   listen,          list,   "/run/sidecast/fastcgi.sock", 0, 0,                 0, "unix socket path or host:port to listen on; repeatable") \
    X(fastcgi,   mode,            mode,   "0660",    0,       0777,                           0, "mode of the unix sockets") \
    X(fastcgi,   group,           string, "",        0,       0,                              0, "group of the unix sockets; empty: the process's own") \
    X(fastcgi,   insecure,        flag,   "no",      0,       0,                              0, "allow TCP beyond loopback: a FastCGI peer is trusted wholly") \
    X(fastcgi,   backlog,         number, "4096",    1,       65535,                          0, "connections that may wait to be accepted; the kernel caps it at net.core.somaxconn") \
    X(fastcgi,   request_timeout, time,   "10s",     1,       INT64_C(86400000),              1, "a connection with half a request is closed after this time") \
    X(fastcgi,   keep_timeout,    time,   "75s",     1,       INT64_C(86400000),              1, "an idle kept connection is closed after this time") \
    X(fastcgi,   max_body,        size,   "1MiB",    0,       INT64_C(67108864),              1, "largest request body; 413 above") \
    X(publish,   listen,          list,   "ipc:///run/sidecast/publish.sock", 0, 0,           0, "ZeroMQ endpoint (ipc:// or tcp://) to take messages on; repeatable") \
    X(publish,   confirm_listen,  list,   "ipc:///run/sidecast/confirm.sock", 0, 0,           0, "ZeroMQ endpoint (ipc:// or tcp://) to take messages on and answer each; repeatable, empty: none") \
    X(publish,   mode,            mode,   "0660",    0,       0777,                           0, "mode of the ipc sockets") \
    X(publish,   group,           string, "",        0,       0,                              0, "group of the ipc sockets; empty: the process's own") \
    X(publish,   insecure,        flag,   "no",      0,       0,                              0, "allow tcp:// beyond loopback without encryption") \
    X(publish,   curve_secret_file, string, "",      0,       0,                              0, "file with the server's secret key: then tcp:// takes publishers with CURVE only; empty: none") \
    X(publish,   curve_clients_file, string, "",     0,       0,                              1, "file with the public keys of publishers that may come with CURVE; empty: all who know the server's") \
    X(publish,   max_bytes,       size,   "1MiB",    1,       INT64_C(67108864),              1, "largest data of one message") \
    X(publish,   max_frame_bytes, size,   "16MiB",   1024,    INT64_C(1073741824),            0, "largest ZeroMQ frame (a batch is one frame); a publisher that sends more is cut") \
    X(publish,   max_batch,       number, "10000",   1,       1000000,                        1, "messages of one frame (a batch, or one for many channels); more are dropped whole") \
    X(publish,   receive_hwm,     number, "1000",    1,       1000000,                        0, "messages that ZeroMQ holds per publisher before it pushes back") \
    X(publish,   max_connections, number, "1024",    1,       100000,                         0, "publishers connected at once; further ones are refused") \
    X(publish,   channel_key,     string, "channel", 0,       0,                              1, "key of a JSON publication that names the channel") \
    X(publish,   key_window,      time,   "10min",   1,       INT64_C(86400000),              1, "how long an idempotency key is remembered") \
    X(publish,   max_keys,        number, "100000",  1,       10000000,                       1, "idempotency keys remembered at most, the oldest goes first") \
    X(access,    public,          list,   "",        0,       0,                              1, "channel pattern that everybody may listen to; repeatable") \
    X(token,     secret_file,     string, "",        0,       0,                              1, "file with a secret that tokens are signed with (HS256); empty: none") \
    X(token,     keys_file,       string, "",        0,       0,                              1, "file with a JWK Set of keys that tokens are signed with (HS256, RS256, ES256); empty: none") \
    X(token,     allow_short_keys, flag,  "no",      0,       0,                              1, "take secrets below 32 bytes and RSA keys below 2048 bits") \
    X(token,     issuer,          string, "",        0,       0,                              1, "what a token's iss must be; empty: whatever it is") \
    X(token,     audience,        string, "",        0,       0,                              1, "what a token's aud must be or contain; empty: whatever it is") \
    X(token,     leeway,          time,   "10s",     0,       300000,                         1, "by which the clocks of those who make tokens may differ") \
    X(token,     cookie,          string, "sidecast_token", 0, 0,                             1, "cookie that may hold a token, good for listening only; empty: none") \
    X(hub,       workers,         number, "1",       1,       64,                             0, "threads that own connections; with 1 there is no thread but the main one") \
    X(hub,       max_clients,     number, "100000",  1,       10000000,                       0, "FastCGI connections at once; lowered to what the descriptor limit allows") \
    X(hub,       pace,            time,   "10ms",    0,       60000,                          1, "least time between two writes of one channel to a client; 0: none") \
    X(hub,       drain,           time,   "1s",      0,       INT64_C(3600000),               1, "time from SIGTERM over which streams are ended, each at a moment of its own; 0: all at once") \
    X(hub,       state_dir,       string, "",        0,       0,                              0, "directory in which the newest id and, at the end, history are kept for the next start; empty: none") \
    X(hub,       snapshot_interval, time, "0",       0,       INT64_C(86400000),              1, "history is written to hub.state_dir this often, besides at the end; 0: only then") \
    X(hub,       stop_timeout,    time,   "10s",     1,       INT64_C(3600000),               1, "longest time from SIGTERM to exit") \
    X(history,   messages,        number, "100",     0,       10000000,                       1, "messages of a channel that a newcomer may be given") \
    X(history,   age,             time,   "1h",      1,       INT64_C(31536000000),           1, "age up to which they are kept") \
    X(history,   keep,            time,   "10s",     0,       INT64_C(86400000),              1, "younger messages go only by history.bytes") \
    X(history,   bytes,           size,   "64MiB",   65536,   INT64_C(1099511627776),         1, "memory for the history of all channels; the oldest message goes first") \
    X(history,   pinned_bytes,    size,   "64MiB",   65536,   INT64_C(1099511627776),         1, "bytes out of history that half-written connections may hold") \
    X(subscribe, max_channels,    number, "100",     1,       10000,                          1, "channels of one subscriber") \
    X(subscribe, max_patterns,    number, "10",      0,       1000,                           1, "patterns of one subscriber") \
    X(subscribe, max_matched,     number, "10000",   1,       10000000,                       1, "channels of one subscriber by its patterns; above, those without a message for the longest time are left until their next") \
    X(sse,       heartbeat,       time,   "15s",     1,       INT64_C(86400000),              1, "a heartbeat is sent after this time in which nothing else was") \
    X(sse,       heartbeat_text,  string, ":",       0,       0,                              0, "the line that is the heartbeat: a comment, starting with a colon") \
    X(sse,       retry,           time,   "3s",      1,       INT64_C(3600000),               1, "when a client comes back; each is told 50–150 % of it") \
    X(sse,       refused_retry,   time,   "5s",      1,       INT64_C(600000),                1, "when a client that is refused for the moment comes back: 1 to 6 times this") \
    X(sse,       max_age,         time,   "1h",      1,       INT64_C(31536000000),           1, "a stream ends cleanly at 80–100 % of this") \
    X(sse,       open_event,      flag,   "yes",     0,       0,                              1, "tell a client without a cursor where it starts (event sidecast.open)") \
    X(poll,      timeout,         time,   "25s",     1,       INT64_C(3600000),               1, "how long a long-poll waits") \
    X(poll,      max_messages,    number, "100",     1,       10000,                          1, "messages in one long-poll answer") \
    X(poll,      max_bytes,       size,   "1MiB",    1,       INT64_C(67108864),              1, "bytes of one long-poll answer, but at least one message") \
    X(slow,      close_after,     time,   "60s",     1,       INT64_C(86400000),              1, "a client that accepts none of its pending bytes for this time is closed") \
    X(slow,      policy,          policy, "catch-up", 0,      0,                              1, "a client that falls behind gets all that history has (catch-up), of each channel the newest (latest), or is closed (close)") \
    X(log,       level,           level,  "info",    0,       0,                              1, "error, warning, notice, info or debug")
/* clang-format on */

struct string_list {
    char **items; /* owned, each owned */
    size_t count;
};

typedef struct string_list settings_list;
typedef char *settings_string; /* owned, never NULL */
typedef mode_t settings_mode;
typedef bool settings_flag;
typedef int64_t settings_number;
typedef int64_t settings_size;
typedef int64_t settings_time;
typedef enum log_level settings_level;

/* For a client that falls behind. */
enum slow_policy { SLOW_CATCH_UP, SLOW_LATEST, SLOW_CLOSE };
typedef enum slow_policy settings_policy;

/* What can differ by channel. A rule without a value of its own holds the general one. */
struct channel_policy {
    int64_t messages;
    int64_t age_ms;
    int64_t keep_ms;
    int64_t pace_ms;
    int64_t slow; /* enum slow_policy */
};

/* `[channel "name"]`: the first rule of the file with a matching pattern holds. */
struct channel_rule {
    char *name;                    /* owned */
    struct string_list match;      /* patterns */
    struct channel_policy policy;
};

struct settings {
#define SETTINGS_FIELD(section, name, type, ...) settings_##type section##_##name;
    SETTINGS(SETTINGS_FIELD)
#undef SETTINGS_FIELD
    struct channel_rule *rules; /* owned */
    size_t rule_count;
};

/* The policy of the channel `name`. The result lives as long as the settings are not changed. */
struct channel_policy settings_channel_policy(const struct settings *settings, struct span name);

/* Whether one of the patterns matches `name`. */
bool settings_list_matches(const struct string_list *patterns, struct span name);

#endif
