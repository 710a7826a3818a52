#!/bin/sh
# What is measured; run.sh sources this and says what each word means. The goals are ratios to what ran in the same rounds.

# --- fan-out: each message on its own, written to all ---
# sidecast keeps 256 descriptors back and one for each publisher it would take: with fewer of these it takes 19000 clients.

fan_out_alone()
{
    with sidecast sidecast sidecast_options=--publish.max_connections=100
    with "bare write" floor ""
    goal ratio cpu_us sidecast "bare write" le "$1" "CPU per delivery, × bare write"
}

for clients_step in 1000 10000; do
    if row "fan-out-alone-$clients_step" "fan-out, sidecast alone: 1 channel, $clients_step clients, 5 messages/s, 200 B"; then
        fan_out_alone 1.05
        at_rate $clients_step 5 200
    fi
done

if row fan-out-whole "fan-out, whole path: 5000 clients, 5 messages/s, 200 B"; then
    with sidecast sidecast_nginx ""
    with "floor+nginx" responder_nginx ""
    with nchan nchan ""
    goal ratio cpu_us sidecast "floor+nginx" le 1.05 "CPU per delivery, × floor+nginx"
    goal ratio p99_ms sidecast nchan le 1.5 "p99, × nchan"
    goal ratio p99_ms "floor+nginx" nchan le 1.5 "the control: floor+nginx, p99, × nchan"
    extra sleeps "times the processes sleep, per message"
    at_rate 5000 5 200
fi

if row fan-out-peers "fan-out, whole path: 5000 clients, the other peers"; then
    row_rounds=2
    may_meet=yes # pushpin needs more than the 200 ms there are for a message
    with node node "" --publishers 1 # it answers a publication before the next is read: more than one have no order
    with pushpin pushpin ""
    at_rate 5000 5 200
fi

if row fan-out-tcp "fan-out, whole path: 5000 clients, by loopback TCP"; then
    row_rounds=2
    with sidecast sidecast_nginx tcp=yes
    with "floor+nginx" responder_nginx tcp=yes
    with nchan nchan tcp=yes
    with "bare write" floor_tcp ""
    at_rate 5000 5 200
fi

# --- many messages: they meet, and are written together ---

if row high-rate "high rate, whole path: 200 clients on one channel, 500 messages/s, 200 B"; then
    may_meet=yes
    with sidecast sidecast_nginx ""
    with nchan nchan ""
    with "floor+nginx" responder_nginx ""
    with "floor+nginx, paced" responder_paced_nginx ""
    goal ratio cpu_us sidecast nchan le 0.75 "CPU per delivery, × nchan"
    goal value p99_ms sidecast - le 25 "p99, ms"
    extra sleeps "times the processes sleep, per message"
    at_rate 200 500 200
fi

if row high-rate-others "high rate, whole path: the other peers, and loopback TCP"; then
    may_meet=yes
    row_rounds=2
    with node node "" --publishers 1
    with pushpin pushpin ""
    with "sidecast, TCP" sidecast_nginx tcp=yes
    with "nchan, TCP" nchan tcp=yes
    with "floor+nginx, TCP" responder_nginx tcp=yes
    at_rate 200 500 200
fi

if row high-rate-fast "as fast as it goes: 200 clients on one channel, 200 B"; then
    with sidecast sidecast_nginx ""
    with nchan nchan ""
    goal ratio rate sidecast nchan ge 3 "messages/s, × nchan"
    extra busy "CPU time per second at the highest rate"
    extra limit "what ended it"
    as_fast_as_it_goes 200 300 200
fi

if row many-channels "many channels: 2000 × 2 clients, 1000 messages/s, 200 B"; then
    may_meet=yes # on different channels
    with sidecast sidecast_nginx ""
    with "floor+nginx" responder_nginx ""
    with nchan nchan ""
    goal ratio cpu_us sidecast "floor+nginx" le 1.05 "CPU per delivery, × floor+nginx"
    extra reads "reads per message, all processes"
    extra writes "writes per message, all processes"
    extra sleeps "times the processes sleep, per message"
    at_rate 4000 1000 200 --channels 2000
    system_calls 4000 1000 200 --channels 2000
fi

if row many-channels-fast "many channels, as fast as it goes: 2000 × 2 clients, 200 B"; then
    with sidecast sidecast_nginx ""
    with nchan nchan ""
    goal ratio rate sidecast nchan ge 1.5 "messages/s, × nchan (aim: 3)"
    extra busy "CPU time per second at the highest rate"
    extra limit "what ended it"
    as_fast_as_it_goes 4000 2000 200 --channels 2000
fi

# --- other ways in and out ---

if row long-poll "long-poll: 500 clients on one channel, 5 messages/s, 200 B"; then
    with sidecast sidecast_nginx poll=json
    with "floor+nginx" responder_nginx poll=json
    with nchan nchan poll=headers
    goal value own_us sidecast - le 15 "sidecast's own CPU per poll, µs"
    extra polls "polls per delivery"
    extra sleeps "times the processes sleep, per message"
    at_rate 500 5 200
fi

if row ingest "taking in: 200 B in 2 frames, nobody listens"; then
    may_meet=yes
    with sidecast sidecast ""
    with "bare PULL" pull ""
    with "sidecast, 2 sockets" sidecast "" --publishers 2
    with "bare PULL, 2 sockets" pull "" --publishers 2
    goal ratio rate sidecast "bare PULL" ge 0.8 "messages/s, × bare PULL"
    extra busy "CPU time per second"
    rounds run_variant 1 --mode ingest --messages 500000
fi

# --- to come: what it takes until a client has its stream ---

if row connect "coming: clients that open a stream behind nginx, get its first bytes, and leave, 50 at once"; then
    with sidecast sidecast_nginx ""
    for algorithm in HS256 RS256 ES256; do
        with "sidecast, token $algorithm" sidecast_token "algorithm=$algorithm" --cookie '$cookie'
    done
    with "sidecast, handed off by a page" sidecast_handoff "" --cookie PHPSESSID=bench
    extra rate "clients a second"
    extra cpu_us "µs of CPU per client, all processes"
    extra own_us "µs of CPU per client, sidecast"
    come_and_go
fi

# --- memory ---

if row idle "idle memory: 10000 SSE clients, sidecast alone"; then
    with sidecast sidecast ""
    goal value own_client sidecast - le 256 "sidecast's own bytes per client"
    extra own_client "bytes per client"
    rounds run_variant 10000 --messages 1 --warm 1
fi

# Two of nginx's connections per client; it begins to close idle ones when a sixteenth of them (20000 here) is left.
if row idle-whole "idle memory, whole path: 9300 SSE clients"; then
    with sidecast sidecast_nginx ""
    with nchan nchan ""
    with "floor+nginx" responder_nginx ""
    goal ratio pss_client sidecast nchan le 1 "bytes per client, × nchan"
    goal ratio pss_client "floor+nginx" nchan le 1 "the control: floor+nginx, bytes per client, × nchan"
    extra pss_client "bytes per client, all processes"
    extra own_client "bytes per client, without nginx"
    rounds run_variant 9300 --messages 1 --warm 1
fi

if row slow-readers "slow readers: 10 of 250 never read, 1 KB × 200 messages/s, whole path"; then
    may_meet=yes
    with sidecast sidecast_nginx "" --stuck 10
    with "sidecast, none slow" sidecast_nginx ""
    with nchan nchan "" --stuck 10
    with "nchan, none slow" nchan ""
    goal spread cpu_us sidecast "sidecast, none slow" le 1.1 "CPU per delivery, × none slow"
    goal spread p99_ms sidecast "sidecast, none slow" le 1.1 "p99, × none slow"
    goal difference own_mib sidecast "sidecast, none slow" le 1 "sidecast's own memory, MiB more than with none slow"
    goal ratio rate sidecast "sidecast, none slow" ge 0.98 "messages/s, × none slow"
    extra pss_mib "growth of memory, all processes, MiB"
    extra own_mib "growth of memory, without nginx, MiB"
    at_rate 250 200 1000
fi

# --- growth: one dimension at a time; 1000 and 10000 clients are above ---

# The responder pays for ZeroMQ's two wake-ups as sidecast does, once a message: what they are among few clients.
for clients_step in 100 19000; do
    if row "growth-clients-$clients_step" "growth: 1 channel, $clients_step clients, 5 messages/s, 200 B"; then
        fan_out_alone 1.1
        with "ZeroMQ + write" responder ""
        goal ratio cpu_us "ZeroMQ + write" "bare write" le 1.1 "the control: a loop of ZeroMQ and writes, × bare write"
        goal ratio cpu_us sidecast "ZeroMQ + write" le 1.1 "CPU per delivery, × a loop of ZeroMQ and writes"
        at_rate $clients_step 5 200
    fi
done

# What a message costs must not depend on the channels that are there: each client listens to some more of its own.
for idle_step in 1 100; do
    if row "growth-channels-$((1000 * idle_step))" \
        "growth: $((1000 * idle_step)) idle channels and a busy one, 1000 clients, 5 messages/s, 200 B"; then
        with sidecast sidecast "sidecast_options=--subscribe.max_channels=2000" --idle $idle_step
        with "bare write" floor ""
        goal ratio cpu_us sidecast "bare write" le 1.1 "CPU per delivery, × bare write"
        at_rate 1000 5 200
    fi
done

# The messages go to all 100000 in turn, each to 50 clients. The controls know groups of clients, and no further channels.
if row growth-busy-100000 "growth: 100000 busy channels, 1000 per client, 5000 clients, 50 clients a message, 50 messages/s, 200 B"; then
    may_meet=yes # on different channels
    with sidecast sidecast "sidecast_options=--subscribe.max_channels=2000" --channels 100000 --per-client 1000
    with "sidecast, 1 channel" sidecast "" --channels 100
    with "bare write" floor_groups "groups=100" --channels 100
    with "ZeroMQ + write" responder "" --channels 100
    goal ratio cpu_us sidecast "bare write" le 1.1 "CPU per delivery, × bare write"
    goal ratio cpu_us "ZeroMQ + write" "bare write" le 1.1 "the control: a loop of ZeroMQ and writes, × bare write"
    goal ratio cpu_us sidecast "ZeroMQ + write" le 1.1 "CPU per delivery, × a loop of ZeroMQ and writes"
    goal ratio cpu_us sidecast "sidecast, 1 channel" le 1.05 "CPU per delivery, × 1 channel per client"
    at_rate 5000 50 200
fi

# The messages go to these channels in turn.
for per_client in 10 1000; do
    if row "growth-per-client-$per_client" "growth: $per_client channels per client, 1000 clients, 5 messages/s, 200 B"; then
        with sidecast sidecast "sidecast_options=--subscribe.max_channels=2000" --channels $per_client --per-client $per_client
        with "sidecast, 1 channel" sidecast ""
        with "bare write" floor ""
        goal ratio cpu_us sidecast "bare write" le 1.1 "CPU per delivery, × bare write"
        goal ratio cpu_us sidecast "sidecast, 1 channel" le 1.05 "CPU per delivery, × 1 channel per client"
        at_rate 1000 5 200
    fi
done

# --- workers: the processors are the server's; the load sleeps meanwhile ---

# What two threads gain here at all is shown by the bare loop.
if row workers "workers: bursts of 100 messages to 2000 clients, read afterwards"; then
    may_meet=yes
    everywhere="server_cpu=0-$((processors - 1)); load_cpu=\$server_cpu"
    for workers in 2 1; do
        with "$workers workers" sidecast "sidecast_options='--hub.pace=0 --hub.workers=$workers'; $everywhere"
        with "bare write, $workers threads" "floor_burst_$workers" "$everywhere"
    done
    goal ratio wall_ms "2 workers" "1 workers" le 0.588 "time from first write to last, × 1 worker (1.7 × faster is 0.588)"
    goal ratio wall_ms "bare write, 2 threads" "bare write, 1 threads" le 0.588 "the control: bare write with 2 threads, × 1 thread"
    goal ratio wall_ms "2 workers" "bare write, 2 threads" le 1.1 "time from first write to last, × bare write with 2 threads"
    goal ratio cpu_us "2 workers" "1 workers" le 1.1 "CPU per delivery, × 1 worker"
    extra wall_ms "ms from first write to last"
    rounds run_variant 2000 --mode burst --bursts 15 --messages 100 --rate 50
fi

# --- pages ---

# Each way of publishing is a line.
php_round()
{
    publish_from_php 1000 >"$directory/php"
    while read -r how figures; do
        echo "run|$row_name|${how#how=}|$figures" >>"$results"
    done <"$directory/php"
}

if [ -x "$(ls /usr/sbin/php-fpm* 2>/dev/null | head -n 1)" ] && row php "publish from PHP: what a page spends in publish()"; then
    goal value median_us zmtp - le 60 "pure PHP, µs"
    goal value median_us zmq - le 35 "ext-zmq, µs"
    goal difference median_us zmq raw le 20 "ext-zmq: the client's own part, µs more than sendmulti() alone"
    extra median_us "µs in publish(), median of the pages"
    extra p99_us "µs in publish(), p99"
    extra whole_median_us "µs with loading the client, median"
    for attempt in $(seq "$row_rounds"); do
        say "$row_title, round $attempt of $row_rounds"
        tcp=no server_cpu=0 sidecast_options=
        php_round
    done
    echo "rounds|$row_name|$row_rounds|0|0" >>"$results"
fi

# --- subscribers by patterns that do not match: a replica alone (replica/patterns.c) ---

patterns_variant()
{
    # shellcheck disable=SC2086
    line=$(on_cpu 0 "$programs/patterns" $options) || line="failed=1"
}

if row patterns "patterns that do not match, a replica alone"; then
    with "no patterns" - "" 0
    with "100 patterns" - "" 100
    with "10000 patterns" - "" 10000
    with "10000 in the messages' directory" - "" 10000 together
    goal ratio ns_old "10000 patterns" "no patterns" le 1.1 "CPU per message to a channel that is there, × no patterns"
    goal ratio ns_new "10000 patterns" "no patterns" le 1.5 "CPU per message to a new channel, × no patterns"
    extra ns_old "ns of CPU, channel there"
    extra ns_new "ns of CPU, new channel"
    rounds patterns_variant
fi
