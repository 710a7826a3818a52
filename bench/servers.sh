#!/bin/sh
# The servers that are measured and what they are measured against; run.sh sources this. Needs $root, $programs (build/bench) and
# $directory (private, empty at the start), and a function `fail`.
#
# start_NAME CLIENTS starts one and returns once it is ready; stop_server ends it, and nothing of it stays. It sets
#   server          its processes, in the order to end them
#   pids, own_pids  "--pid P …" of all of them, and of those that are not nginx
#   listen          where clients connect: a unix socket, or 127.0.0.1:PORT if `tcp=yes` was set before
#   framing         fastcgi or http; subscribe_path and poll_path (empty: none) with %s for the channel
#   publish         where messages go: a ZeroMQ endpoint (two frames), dgram:PATH, packets:PATH, http:ADDRESS/PATH,
#                   pushpin:ENDPOINT
#   unanswered      how many clients may wait for their answer while they come; empty: any number
# Channels are named bench/…. What differs from a server's defaults is said where it is set.
#
# Before a start one may set: tcp=yes; server_cpu (0): processors of the server; sidecast_options: further arguments for sidecast;
# groups: see start_floor_groups.

tcp=${tcp:-no}
server_cpu=${server_cpu:-0}
sidecast_options=${sidecast_options:-}
server=

# Two processors or more: the server has one for itself, so that the scheduler's choice of a processor is not part of the figure.
processors=$(nproc)
on_cpu()
{
    cpu=$1
    shift
    if [ "$processors" -gt 1 ] && command -v taskset >/dev/null; then
        exec taskset -c "$cpu" "$@"
    fi
    exec "$@"
}

# --- starting and ending ---

# As said above, with nothing started yet.
begin()
{
    server=
    pids=
    own_pids=
    framing=fastcgi
    subscribe_path=
    poll_path=
    unanswered=
}

# launch NAME COMMAND…: starts it on the server's processor; its process in $launched, what it says in NAME.log.
launch()
{
    log=$directory/$1.log
    shift
    (on_cpu "$server_cpu" "$@") >"$log" 2>&1 &
    launched=$!
    server="$server $launched"
}

account()
{
    for process in "$@"; do
        pids="$pids --pid $process"
    done
}

account_own()
{
    account "$@"
    for process in "$@"; do
        own_pids="$own_pids --pid $process"
    done
}

show_logs()
{
    tail -n 5 "$directory"/*.log >&2 2>/dev/null || true
    rm -f "$directory"/*.log
}

give_up()
{
    show_logs
    fail "$*"
}

check_alive()
{
    for process in $server; do
        kill -0 "$process" 2>/dev/null || give_up "a server ended at once (awaited: $*)"
    done
}

# await COMMAND…: until it succeeds.
await()
{
    tries=1000
    until "$@" >/dev/null 2>&1; do
        check_alive "$@"
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || give_up "a server did not get ready (awaited: $*)"
        sleep 0.01
    done
    check_alive "$@"
}

# Sets status: 0, or what the first process that failed ended with. 143 is SIGTERM's, which those without a handler end with.
stop_server()
{
    status=0
    for process in $server; do
        kill "$process" 2>/dev/null || true
        ended=0
        wait "$process" 2>/dev/null || ended=$?
        [ "$ended" = 0 ] || [ "$ended" = 143 ] || [ "$status" != 0 ] || status=$ended
    done
    server=
    [ ! -s "$directory/sidecast.log" ] || cat "$directory/sidecast.log" >&2 # nothing is wrong with a run that says nothing
    [ "$status" = 0 ] || show_logs
    rm -rf "$directory"/*.sock "$directory"/*.dgram "$directory"/*.log "$directory/nginx" "$directory/pushpin"
}

# A port in $port that nobody listens at, below those that the system gives to outgoing connections.
next_port=$((20000 + $$ % 10000))
find_port()
{
    while grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf '%04X' "$next_port") [0-9A-F:]* 0A" /proc/net/tcp; do
        next_port=$((next_port + 1))
    done
    port=$next_port
    next_port=$((next_port + 1))
}

# Where clients connect, in $listen.
choose_listen()
{
    listen=$directory/$1.sock
    if [ "$tcp" = yes ]; then
        find_port
        listen=127.0.0.1:$port
    fi
}

is_listening()
{
    case $1 in
    /*) test -S "$1" ;;
    *) grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf '%04X' "${1##*:}") [0-9A-F:]* 0A" /proc/net/tcp ;;
    esac
}

children_of()
{
    cat "/proc/$1/task/$1/children"
}

has_children()
{
    [ -n "$(children_of "$1")" ]
}

# --- nginx: the same for all but what stands in `location`s ---

# The project's snippets, as their user would adapt them; without access logs, which the others have not either.
copy_snippets()
{
    mkdir -p "$directory/nginx/snippets"
    for snippet in http errors location handoff page; do
        sed -e "s|unix:/run/sidecast/fastcgi.sock|unix:$directory/fastcgi.sock|" \
            -e 's|^\( *\)access_log .*;|\1access_log off;|' "$root/nginx/sidecast-$snippet.conf" \
            >"$directory/nginx/snippets/sidecast-$snippet.conf"
    done
}

# The lines on memory that example.conf recommends for a server with streams: all get them.
memory_lines()
{
    grep -E '^ *(connection_pool_size|request_pool_size|client_header_buffer_size|large_client_header_buffers) ' \
        "$root/nginx/example.conf"
}

# write_nginx MAIN-LINES HTTP-LINES SERVER-LINES
write_nginx()
{
    user=
    [ "$(id -u)" != 0 ] || user='user root;' # who runs the bench reaches all sockets
    case $listen in
    /*) address=unix:$listen ;;
    *) address=$listen ;;
    esac
    mkdir -p "$directory/nginx"
    cat >"$directory/nginx/nginx.conf" <<CONF
$1
$user
daemon off;
worker_processes 1;
worker_rlimit_nofile $(ulimit -Hn);
pid $directory/nginx/nginx.pid;
error_log stderr error;
events {
    worker_connections $(ulimit -Hn);
}
http {
    access_log off;
    gzip off;
    client_body_temp_path $directory/nginx/body;
    fastcgi_temp_path $directory/nginx/fastcgi;
    proxy_temp_path $directory/nginx/proxy;
    uwsgi_temp_path $directory/nginx/uwsgi;
    scgi_temp_path $directory/nginx/scgi;
    keepalive_requests 1000000000;
$2
    server {
        listen $address backlog=4096;
$(memory_lines)
$3
    }
}
CONF
}

# launch_nginx: the master process is put before the others, to be ended first; it and its worker are accounted.
launch_nginx()
{
    behind=$server
    server=
    launch nginx nginx -p "$directory/nginx" -c "$directory/nginx/nginx.conf" -e stderr
    server="$server $behind"
    await is_listening "$listen"
    await has_children "$launched"
    # shellcheck disable=SC2046
    account "$launched" $(children_of "$launched")
}

# In front of a FastCGI server that listens at fastcgi.sock.
put_nginx_before()
{
    framing=http
    subscribe_path='/events?channel=%s'
    poll_path=$subscribe_path
    choose_listen http
    copy_snippets
    write_nginx "" "include snippets/sidecast-http.conf;" "
        include snippets/sidecast-errors.conf;
        location = /events {
            include snippets/sidecast-location.conf;
        }"
    launch_nginx
}

# --- sidecast and its controls ---

# launch_sidecast LISTEN
launch_sidecast()
{
    publish=ipc://$directory/publish.sock
    cat >"$directory/sidecast.ini" <<INI
[fastcgi]
listen = $1
[publish]
listen = $publish
confirm_listen =
[access]
public = bench/*
[log]
level = warning
INI
    # shellcheck disable=SC2086
    launch sidecast "$root/build/sidecast" -c "$directory/sidecast.ini" $sidecast_options
    account_own "$launched"
    await "$root/build/sidecast" --healthcheck -c "$directory/sidecast.ini"
}

start_sidecast()
{
    begin
    choose_listen fastcgi
    launch_sidecast "$listen"
}

# Clients bring a token in a cookie, in $cookie; it is signed with $algorithm.
start_sidecast_token()
{
    begin
    (umask 077 && php "$root/bench/php/keys.php" "$algorithm" >"$directory/keys")
    cookie=sidecast_token=$("$root/build/sidecast" token --channels 'bench/*' --keys-file "$directory/keys")
    sidecast_options="$sidecast_options --token.keys_file=$directory/keys"
    launch_sidecast "$directory/fastcgi.sock"
    put_nginx_before
}

start_sidecast_nginx()
{
    begin
    launch_sidecast "$directory/fastcgi.sock"
    put_nginx_before
}

# start_floor CLIENTS [FAULT]: a bare loop of writes, with the bytes that sidecast writes.
start_floor()
{
    begin
    choose_listen floor
    publish=dgram:$directory/floor.dgram
    launch floor "$programs/floor" "$listen" "$directory/floor.dgram" "$@"
    account_own "$launched"
    await is_listening "$listen"
}

# start_floor_groups CLIENTS: each message to one of $groups groups of clients, in turn.
start_floor_groups()
{
    start_floor "$1" "$groups"
}

# start_floor_burst_THREADS CLIENTS: the same for bursts, the clients divided among threads.
launch_floor_burst()
{
    begin
    choose_listen floor
    publish=packets:$directory/floor.packets.sock
    launch floor "$programs/floor_burst" "$listen" "${publish#packets:}" "$@"
    account_own "$launched"
    await is_listening "$listen"
}

start_floor_burst_1()
{
    launch_floor_burst "$1" 1
}

start_floor_burst_2()
{
    launch_floor_burst "$1" 2
}

start_floor_tcp()
{
    tcp_before=$tcp
    tcp=yes
    start_floor "$@"
    tcp=$tcp_before
}

# launch_responder LISTEN [--pace MS]
launch_responder()
{
    publish=ipc://$directory/publish.sock
    launched_at=$1
    shift
    launch responder "$programs/responder" "$launched_at" "$publish" "$@"
    account_own "$launched"
    await is_listening "$launched_at"
}

start_responder()
{
    begin
    choose_listen fastcgi
    launch_responder "$listen"
}

start_responder_nginx()
{
    begin
    launch_responder "$directory/fastcgi.sock"
    put_nginx_before
}

start_responder_paced_nginx()
{
    begin
    launch_responder "$directory/fastcgi.sock" --pace 10
    put_nginx_before
}

# A bare loop over a PULL socket. Its one client is told of each message to bench/0, as a subscriber of it would be.
start_pull()
{
    begin
    choose_listen pull
    publish=ipc://$directory/publish.sock
    launch pull "$programs/pull" "$listen" "$publish" bench/0
    account_own "$launched"
    await is_listening "$listen"
}

# --- the others ---

# Against its defaults: a buffer of 100 messages a channel, as sidecast's history has, instead of 10. One location for event
# streams and one for long-polls; the publisher is nginx itself.
nchan_module=/usr/lib/nginx/modules/ngx_nchan_module.so # Debian's place
start_nchan()
{
    [ -e "$nchan_module" ] || fail "nchan is missing: scripts/deps.sh bench"
    begin
    framing=http
    subscribe_path='/events?channel=%s'
    poll_path='/poll?channel=%s'
    choose_listen http
    publish="http:$listen/publish?channel=%s"
    write_nginx "load_module $nchan_module;" "nchan_message_buffer_length 100;" "
        location = /events {
            nchan_subscriber eventsource;
            nchan_channel_id \$arg_channel;
        }
        location = /poll {
            nchan_subscriber longpoll;
            nchan_channel_id \$arg_channel;
        }
        location = /publish {
            nchan_publisher;
            nchan_channel_id \$arg_channel;
        }"
    launch_nginx
}

# A broadcaster in plain Node, reached directly: it needs no nginx to hold its streams. It has no history and no limits.
start_node()
{
    command -v node >/dev/null || fail "node is missing: scripts/deps.sh bench"
    begin
    framing=http
    subscribe_path='/events?channel=%s'
    choose_listen node
    publish="http:$listen/publish?channel=%s"
    launch node node "$root/bench/node/server.js" "$listen"
    account_own "$launched"
    await is_listening "$listen"
}

# Pushpin holds the streams itself, behind no nginx; the page that grants a stream is an nginx location, asked once a client, as
# cheap as it can be. Against the defaults: message_rate=0 (its limiter holds messages back), room for messages, clients and
# channels, a unix socket, and a zurl of its own (which fetches that page) with room for all clients to ask at once. When many
# clients come at once, pushpin 1.36 closes one of some hundred ("received message out of sequence"): so they come two at a time.
start_pushpin()
{
    command -v pushpin >/dev/null || fail "pushpin is missing: scripts/deps.sh bench"
    begin
    framing=http
    subscribe_path='/events?channel=%s'
    find_port
    listen=127.0.0.1:$port
    write_nginx "" "" "
        location = /events {
            types { }
            default_type text/event-stream;
            add_header Grip-Hold stream;
            add_header Grip-Channel \$arg_channel;
            add_header Cache-Control no-store;
            return 200 \":\\nretry: 3000\\n\";
        }"
    launch_nginx
    page=$listen
    choose_listen pushpin
    publish=pushpin:ipc://$directory/publish.sock
    unanswered=2
    write_pushpin
    launch zurl zurl --config="$directory/pushpin/zurl.conf" --loglevel=1
    account_own "$launched"
    launch pushpin pushpin --config "$directory/pushpin/pushpin.conf" -m
    server="$launched ${server% "$launched"}"
    await pushpin_is_ready
    # shellcheck disable=SC2046
    account_own "$launched" $(children_of "$launched")
}

# The unix socket or the port, as the runner's own configuration wants it.
pushpin_listen()
{
    case $listen in
    /*) echo "local_ports=$listen" && echo "http_port=" ;;
    *) echo "http_port=$listen" ;;
    esac
}

write_pushpin()
{
    mkdir -p "$directory/pushpin/run" "$directory/pushpin/log"
    sed "s|ipc:///var/run/zurl/zurl-|ipc://{rundir}/{ipc_prefix}zurl-|" /usr/lib/pushpin/internal.conf >"$directory/pushpin/internal.conf"
    echo "* $page" >"$directory/pushpin/routes"
    find_port
    cat >"$directory/pushpin/pushpin.conf" <<CONF
[global]
include=$directory/pushpin/internal.conf
rundir=$directory/pushpin/run
ipc_prefix=bench-
[runner]
services=condure,pushpin-proxy,pushpin-handler
$(pushpin_listen)
logdir=$directory/pushpin/log
log_level=1
client_buffer_size=8192
client_maxconn=$(($(ulimit -Hn) - 500))
[proxy]
routesfile=$directory/pushpin/routes
updates_check=off
sig_key=changeme
[handler]
push_in_spec=${publish#pushpin:}
push_in_http_addr=127.0.0.1
push_in_http_port=$port
stats_spec=ipc://{rundir}/{ipc_prefix}stats
command_spec=ipc://{rundir}/{ipc_prefix}command
message_rate=0
message_hwm=1000000
connection_subscription_max=1000
CONF
    cat >"$directory/pushpin/zurl.conf" <<CONF
[General]
in_spec=ipc://$directory/pushpin/run/bench-zurl-in
in_stream_spec=ipc://$directory/pushpin/run/bench-zurl-in-stream
out_spec=ipc://$directory/pushpin/run/bench-zurl-out
in_req_spec=
defpolicy=allow
max_open_requests=$(ulimit -Hn)
buffer_size=200000
timeout=600
in_hwm=100000
out_hwm=100000
CONF
}

# Its processes find each other one after the other: it is ready once a client gets a stream, which curl then leaves.
pushpin_is_ready()
{
    is_listening "$listen" || return 1
    case $listen in
    /*) set -- --unix-socket "$listen" http://localhost/events?channel=bench/ready ;;
    *) set -- "http://$listen/events?channel=bench/ready" ;;
    esac
    [ "$(curl -sN -o "$directory/pushpin/stream" -w '%{http_code}' -m 0.2 "$@")" = 200 ]
}
