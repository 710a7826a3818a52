/* metrics: what is counted. A metric is one line here: name, kind, help. Plain numbers, one struct per worker and one for the hub. */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>

#define METRICS(X) \
    X(messages_published, counter, "messages that got an id") \
    X(messages_duplicate, counter, "messages dropped because their key was seen before") \
    X(dropped_bad_json, counter, "publications dropped: not valid JSON, or not an object or array of objects") \
    X(dropped_bad_option, counter, "publications dropped: unknown option, or an option of the wrong type or value") \
    X(dropped_bad_channel, counter, "publications dropped: no channel, or not a channel name") \
    X(dropped_bad_data, counter, "publications dropped: data that is not UTF-8") \
    X(dropped_too_large, counter, "publications dropped: data above publish.max_bytes") \
    X(dropped_bad_frames, counter, "publications dropped: not 1 to 3 frames") \
    X(dropped_no_memory, counter, "publications dropped: no memory") \
    X(confirmations, counter, "requests to publish that were answered") \
    X(confirmations_short, counter, "of these, answered with no_memory because memory lacked for the answer: messages may be published") \
    X(publishers, gauge, "publishers connected now") \
    X(publishers_refused, counter, "publishers refused: publish.max_connections or descriptors") \
    X(publishers_gone, counter, "publisher connections that ended: left, or cut by ZeroMQ for a frame above publish.max_frame_bytes") \
    X(publishers_failed, counter, "publisher connections whose ZeroMQ handshake failed") \
    X(snapshots_written, counter, "snapshots of history written to hub.state_dir") \
    X(snapshots_failed, counter, "snapshots of history that could not be written") \
    X(ingest_pauses, counter, "times the hub stopped reading because an inbox was full") \
    X(connections, gauge, "FastCGI connections now") \
    X(connections_refused, counter, "FastCGI connections closed at once because memory lacked") \
    X(connections_cut, counter, "FastCGI connections closed later because memory lacked") \
    X(requests, counter, "requests read") \
    X(requests_bad, counter, "requests answered with a 4xx") \
    X(requests_refused, counter, "requests refused for the moment: limit reached, draining or no memory") \
    X(requests_timed_out, counter, "connections closed with half a request") \
    X(protocol_errors, counter, "connections closed because what came was not FastCGI") \
    X(subscribers, gauge, "subscribers now") \
    X(patterns, gauge, "different patterns that somebody listens to now") \
    X(pattern_links, gauge, "channels that subscribers have by patterns now, each counted for each subscriber") \
    X(pattern_links_left, counter, "channels that subscribers by patterns left, idle, because of subscribe.max_matched") \
    X(subscribers_slow_closed, counter, "subscribers closed: nothing accepted for slow.close_after, or too many bytes pinned") \
    X(deliveries, counter, "messages written to subscribers") \
    X(messages_skipped, counter, "messages of channels with slow.policy = latest that subscribers did not get because history had a newer one") \
    X(writes, counter, "writes to subscribers") \
    X(writes_shared, counter, "writes of what was gathered for another subscriber") \
    X(gaps, counter, "gap events told") \
    X(poll_answers_shared, counter, "long-poll answers sent that were built for another client") \
    X(channels, gauge, "channels now") \
    X(history_messages, gauge, "messages in history now") \
    X(history_bytes, gauge, "bytes of history now") \
    X(history_evicted, counter, "messages evicted that count as lost for who had not got them") \
    X(pinned_bytes, gauge, "bytes out of history that a half-written connection still holds")

struct metrics {
#define METRIC_FIELD(name, kind, help) uint64_t name;
    METRICS(METRIC_FIELD)
#undef METRIC_FIELD
};

/* Adds each number of `more` to that of `sum`. */
void metrics_add(struct metrics *sum, const struct metrics *more);
/* Writes one `notice` line with every metric that is not zero: `metrics <name>=<value> …`. */
void metrics_log(const struct metrics *metrics);

#endif
