#!/bin/sh
# make bench: measures build/sidecast against controls and peers and prints a report. Figures are ratios to something that runs
# in turn with it, the median of BENCH_PAIRS rounds with its range. What the figures mean: docs/performance.md, whose last part
# `make bench BENCH_SAVE=1` replaces. What is measured: scenarios.sh; against what: servers.sh.
#
#   BENCH_PAIRS=5    interleaved rounds of each scenario
#   BENCH_SECONDS=3  measured part of one run
#   BENCH_ONLY=      shell pattern: only these scenarios (their first word in scenarios.sh, as in 'fan-out*')
#   BENCH_SAVE=      1: keep the report in docs/performance.md
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
programs=$root/build/bench
pairs=${BENCH_PAIRS:-5}
seconds=${BENCH_SECONDS:-3}
only=${BENCH_ONLY:-*}
directory=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
results=$directory/results
server=

finish()
{
    [ -z "$server" ] || stop_server
    rm -rf "$directory"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail()
{
    echo "bench: $*" >&2
    exit 1
}

say()
{
    echo "bench: $*" >&2
}

. "$root/bench/servers.sh"
. "$root/bench/php.sh"

# --- one run ---

# start SERVER CLIENTS SETTINGS: the settings are assignments: those of servers.sh, load_cpu, and poll=json or headers.
start()
{
    tcp=no
    server_cpu=0
    load_cpu=1
    sidecast_options=
    poll=no
    eval "$3"
    "start_$1" "$2"
}

# load CLIENTS LOAD-OPTIONS…: against what start() started.
load()
{
    clients=$1
    shift
    case $poll in
    no) path=$subscribe_path ;;
    *) path=$poll_path ;;
    esac
    [ -z "$unanswered" ] || set -- --unanswered "$unanswered" "$@"
    [ "$framing" = fastcgi ] || set -- --framing http --path "$path" --poll "$poll" "$@"
    # Of these the ids are known to rise.
    case $name in sidecast* | responder* | floor*) set -- --ids-rise "$@" ;; esac
    # shellcheck disable=SC2046,SC2086
    (on_cpu "$load_cpu" timeout 400 "$programs/load" --listen "$listen" --publish "$publish" $pids \
        $(echo "$own_pids" | sed 's/--pid/--own-pid/g') --clients "$clients" "$@")
}

# run SERVER SETTINGS CLIENTS LOAD-OPTIONS…: one line of key=value in $line. What went wrong is said, and is failed=1 there.
failures=0
run()
{
    name=$1
    count=$3
    start "$1" "$3" "$2"
    shift 3
    line=$(load "$count" "$@") || line="failed=1 $line"
    ended_well
}

# Stops the server; what went wrong with the run in $line is said, and sidecast's is counted.
ended_well()
{
    stop_server
    [ "$status" = 0 ] || line="failed=1 $line"
    case $line in
    failed=1*)
        say "$name failed: $line"
        case $name in sidecast*) failures=$((failures + 1)) ;; esac
        ;;
    esac
}

# --- scenarios ---

# row NAME TITLE: begins a scenario; false if it is not wanted.
row()
{
    # shellcheck disable=SC2254
    case $1 in $only) ;; *) return 1 ;; esac
    row_name=$1
    row_title=$2
    row_rounds=$pairs
    may_meet=no
    : >"$directory/variants"
    echo "row|$1|$2" >>"$results"
}

is_installed()
{
    case $1 in
    nchan) [ -e "$nchan_module" ] ;;
    node | pushpin) command -v "$1" >/dev/null ;;
    *_nginx) command -v nginx >/dev/null ;;
    esac
}

# with LABEL SERVER SETTINGS [LOAD-OPTION…]: one of those that run in turn. A peer that is not installed is left out.
with()
{
    if ! is_installed "$2"; then
        case $2 in nchan | node | pushpin | *_nginx) say "$2 is not installed (scripts/deps.sh bench)" && return ;; esac
    fi
    label=$1
    what="$2|$3"
    shift 3
    echo "$label|$what|$*" >>"$directory/variants"
}

# goal KIND KEY OURS OTHER le|ge LIMIT TEXT: KIND is ratio (of OURS to OTHER), difference, value (of OURS), or spread: a ratio
# whose limit is at least the spread of OTHER's own runs.
goal()
{
    echo "goal|$row_name|$1|$2|$3|$4|$5|$6|$7" >>"$results"
}

# extra KEY HEADING: a figure to be shown besides.
extra()
{
    echo "extra|$row_name|$1|$2" >>"$results"
}

# True when other work on the machine held a reader or server up until messages met: they are then written together, which is
# another scenario, and a far cheaper one.
is_disturbed()
{
    [ "$may_meet" = no ] && grep -q ' overlaps=[1-9]' "$directory/round"
}

# A round takes each variant once: `one_round COMMAND…` calls COMMAND for each with label, name, settings and options set.
one_round()
{
    : >"$directory/round"
    while IFS='|' read -r label name settings options <&3; do
        "$@"
        echo "run|$row_name|$label|$line" >>"$directory/round"
    done 3<"$directory/variants"
}

# rounds COMMAND…: as many as there are to be. Disturbed ones are left out, as long as these are not more than the others.
rounds()
{
    rounds_done=0
    left_out=0
    kept=0
    while [ "$rounds_done" -lt "$row_rounds" ]; do
        say "$row_title, round $((rounds_done + 1)) of $row_rounds"
        one_round "$@"
        if is_disturbed; then
            if [ "$left_out" -lt "$row_rounds" ]; then
                left_out=$((left_out + 1))
                say "disturbed, left out"
                continue
            fi
            kept=$((kept + 1))
        fi
        cat "$directory/round" >>"$results"
        rounds_done=$((rounds_done + 1))
    done
    echo "rounds|$row_name|$rounds_done|$left_out|$kept" >>"$results"
}

run_variant()
{
    # shellcheck disable=SC2086
    run "$name" "$settings" "$@" $options
}

# at_rate CLIENTS RATE SIZE [LOAD-OPTION…]: a second of warming up, then BENCH_SECONDS.
at_rate()
{
    count=$1
    rate=$2
    size=$3
    shift 3
    rounds run_variant "$count" --rate "$rate" --size "$size" --messages $((rate * seconds)) --warm "$rate" "$@"
}

# come_and_go: clients that open a stream and leave, for BENCH_SECONDS.
connect_variant()
{
    start "$name" 50 "$settings"
    # shellcheck disable=SC2046,SC2059,SC2086
    line=$(on_cpu "$load_cpu" timeout 100 "$programs/connects" --listen "$listen" --path "$subscribe_path" $pids \
        $(echo "$own_pids" | sed 's/--pid/--own-pid/g') --seconds "$seconds" $(eval echo "$options")) || line="failed=1 $line"
    ended_well
}

come_and_go()
{
    may_meet=yes
    rounds connect_variant
}

rate_of()
{
    echo "$line" | sed -n 's/.*rate=\([0-9.]*\).*/\1/p'
}

product()
{
    awk "BEGIN { printf \"%.0f\", $1 * $2 }"
}

# The highest rate a variant holds: coarse steps in the first round, then fine ones from somewhat below the last result.
ramp_variant()
{
    last=$directory/rate-$row_name-$label
    if [ ! -e "$last" ]; then
        run_variant "$@" --mode ramp --rate "$first_rate" --warm "$first_rate" --step 1.5 --seconds 1
        rate_of >"$last"
    fi
    from=$(product "$(cat "$last")" 0.8)
    for attempt in 1 2 3 4 5; do
        [ "$from" -gt 0 ] || from=$first_rate
        run_variant "$@" --mode ramp --rate "$from" --warm "$from" --step 1.1 --seconds 2
        [ "$(rate_of)" = 0 ] || break
        from=$(product "$from" 0.6)
    done
    rate_of >"$last"
}

# as_fast_as_it_goes CLIENTS FIRST-RATE SIZE [LOAD-OPTION…]
as_fast_as_it_goes()
{
    count=$1
    first_rate=$2
    size=$3
    shift 3
    may_meet=yes
    rounds ramp_variant "$count" --size "$size" "$@"
}

# Reads and writes of a run under strace, in $reads and $writes.
traced()
{
    start "$name" "$1" "$settings"
    # shellcheck disable=SC2046
    strace -f -c -U name,calls -o "$directory/calls" $(echo "$pids" | sed 's/--pid/-p/g') 2>/dev/null &
    tracer=$!
    # shellcheck disable=SC2086
    load "$@" $options >/dev/null || true
    kill -INT "$tracer"
    wait "$tracer" || true
    stop_server
    reads=$(awk '$1 ~ /^(read|readv|recvfrom|recvmsg)$/ { sum += $2 } END { print sum + 0 }' "$directory/calls")
    writes=$(awk '$1 ~ /^(write|writev|sendto|sendmsg)$/ { sum += $2 } END { print sum + 0 }' "$directory/calls")
}

# System calls per message: those of a longer run less those of a shorter one, so that connecting is in neither.
count_variant()
{
    messages=$((rate * 2))
    traced "$@" --messages "$rate" --warm 0
    reads_short=$reads
    writes_short=$writes
    traced "$@" --messages $((rate + messages)) --warm 0
    line=$(awk "BEGIN { printf \"reads=%.2f writes=%.2f\", ($reads - $reads_short) / $messages, ($writes - $writes_short) / $messages }")
}

# system_calls CLIENTS RATE SIZE [LOAD-OPTION…]: in one round, with the variants that are there.
system_calls()
{
    command -v strace >/dev/null || return 0
    say "$row_title, system calls"
    count=$1
    rate=$2
    size=$3
    shift 3
    one_round count_variant "$count" --rate "$rate" --size "$size" "$@"
    cat "$directory/round" >>"$results"
}

# --- whether load sees what it must ---

# A control behind nginx, so that it is HTTP.
start_floor_nginx()
{
    begin
    publish=dgram:$directory/floor.dgram
    launch floor "$programs/floor" "$directory/fastcgi.sock" "$directory/floor.dgram" "$@"
    account_own "$launched"
    await is_listening "$directory/fastcgi.sock"
    put_nginx_before
}

# fault_seen SERVER FAULT WORDS: that the run fails, and why.
fault_seen()
{
    name=$1
    start "$1" 10 "" # for the settings
    stop_server
    "start_$1" 10 ${2:+"$2"}
    seen=$(load 10 --rate 100 --messages 10 --warm 0 2>&1) && seen="no fault"
    stop_server
    case $seen in *"$3"*) ;; *) fail "the load generator overlooks: $1, ${2:-no fault}: $seen" ;; esac
}

check_checks()
{
    "$programs/framing_test"
    for checked in floor floor_nginx; do
        is_installed "$checked" || [ "$checked" = floor ] || continue
        fault_seen "$checked" "" "no fault"
        fault_seen "$checked" drop "a message is missing"
        fault_seen "$checked" double "a message came twice"
        fault_seen "$checked" swap "a message is missing"
    done
}

# --- report ---

first_line()
{
    "$@" 2>&1 | head -n 1 || true
}

version_of_package()
{
    dpkg-query -W -f '${Version}' "$1" 2>/dev/null || echo none
}

report()
{
    echo "$(date -u +%Y-%m-%d), $(first_line "$root/build/sidecast" --version); Linux $(uname -r)," \
         "$(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(ulimit -Hn) descriptors per process;" \
         "$pairs rounds of $seconds s; load average before: $load_before."
    echo "nginx $(version_of_package nginx), nchan $(version_of_package libnginx-mod-nchan)," \
         "pushpin $(version_of_package pushpin), node $(version_of_package nodejs)," \
         "libzmq $(pkg-config --modversion libzmq 2>/dev/null || version_of_package libzmq5)," \
         "$(first_line php -v | cut -d ' ' -f 1-2)."
    echo
    awk -f "$root/bench/summary.awk" "$results"
}

save()
{
    page=$root/docs/performance.md
    sed '/^<!-- last report/q' "$page" >"$directory/page"
    echo >>"$directory/page"
    cat "$programs/report.md" >>"$directory/page"
    cat "$directory/page" >"$page"
}

make -s -C "$root/bench" OUT="$programs"
load_before=$(cut -d ' ' -f 1-3 /proc/loadavg)
: >"$results"
check_checks
. "$root/bench/scenarios.sh"
report >"$programs/report.md"
cp "$results" "$programs/results"
[ "${BENCH_SAVE:-}" != 1 ] || save
cat "$programs/report.md"
[ "$failures" = 0 ] || fail "$failures runs of sidecast broke the contract"
