#!/bin/sh
# make bench: measures build/sidecast against physical controls and prints one table per kind of figure. Figures are ratios
# to a control that runs in turn with it, the median of BENCH_PAIRS pairs with its range. What the figures mean:
# docs/performance.md, whose last part `make bench BENCH_SAVE=1` replaces.
#
#   BENCH_PAIRS=5    interleaved pairs of each scenario
#   BENCH_SECONDS=4  measured part of one run
#   BENCH_SAVE=      1: keep the report in docs/performance.md
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
programs=$root/build/bench
pairs=${BENCH_PAIRS:-5}
seconds=${BENCH_SECONDS:-4}
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

. "$root/bench/servers.sh"

# run SERVER CLIENTS LOAD-OPTIONS…: one line of key=value in $line.
run()
{
    name=$1
    clients=$2
    shift 2
    "start_$name" "$clients"
    # shellcheck disable=SC2086
    line=$(on_cpu 1 "$programs/load" --listen "$listen" --publish "$publish" $pids --clients "$clients" "$@") ||
        fail "$name: the load generator failed: $line"
    stop_server
    [ "$status" = 0 ] || fail "$name ended with status $status"
}

# The load generator has to notice a server that loses, doubles or reorders; else its silence means nothing.
check_checks()
{
    for fault in drop double swap; do
        start_floor 10 "$fault"
        # shellcheck disable=SC2086
        if "$programs/load" --listen "$listen" --publish "$publish" $pids --clients 10 --rate 100 --messages 10 --warm 0 \
            >/dev/null 2>&1; then
            fail "the load generator overlooks: $fault"
        fi
        stop_server
    done
}

# --- scenarios ---

# pair_once TITLE CONTROL CLIENTS LOAD-OPTIONS…: sidecast, then CONTROL. False when other work on the machine held a reader
# or server up until messages met: they are then written together, which is another scenario, and a far cheaper one.
pair_once()
{
    title=$1
    control=$2
    shift 2
    : >"$directory/pair"
    for side in ours control; do
        if [ "$side" = ours ]; then who=sidecast; else who=$control; fi
        run "$who" "$@"
        echo "$title|$side|$line" >>"$directory/pair"
    done
    if [ "$messages_may_meet" = no ] && grep -qv " overlaps=0 " "$directory/pair"; then
        return 1
    fi
    cat "$directory/pair" >>"$results"
}

# compare TITLE GOAL CONTROL CLIENTS RATE SIZE [LOAD-OPTIONS…]: CPU per delivery, sidecast and CONTROL in turns.
# Set messages_may_meet=yes for rates at which a message may come while the one before is on its way.
messages_may_meet=no
compare()
{
    goal_title=$1
    control=$3
    count=$4
    rate=$5
    size=$6
    disturbed=0
    done_pairs=0
    echo "goal|$1|cpu|$2|$4" >>"$results"
    shift 6
    while [ "$done_pairs" -lt "$pairs" ]; do
        echo "bench: $goal_title, pair $((done_pairs + 1)) of $pairs" >&2
        if pair_once "$goal_title" "$control" "$count" --rate "$rate" --size "$size" \
            --messages $((rate * seconds)) --warm "$rate" "$@"; then
            done_pairs=$((done_pairs + 1))
            continue
        fi
        disturbed=$((disturbed + 1))
        echo "bench: disturbed, left out" >&2
        [ "$disturbed" -le $((2 * pairs)) ] || fail "this machine is too busy to measure: messages met in $disturbed pairs"
    done
    echo "disturbed|$goal_title|$disturbed" >>"$results"
}

# memory TITLE GOAL CLIENTS MESSAGES SIZE: growth of the proportional set size from no client to all of them, after a burst.
memory()
{
    echo "goal|$1|memory|$2|$3" >>"$results"
    for pair in $(seq "$pairs"); do
        echo "bench: $1, run $pair of $pairs" >&2
        run sidecast "$3" --rate 0 --size "$5" --messages "$4" --warm 0
        echo "$1|ours|$line" >>"$results"
    done
}

# --- report ---

report()
{
    echo "$(date -u +%Y-%m-%d), $("$root/build/sidecast" --version | head -n 1); Linux $(uname -r)," \
         "$(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1);" \
         "$pairs pairs of $seconds s; load average before: $load_before."
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
check_checks
compare "fan-out alone: 1 channel, 1000 clients, 5 messages/s, 200 B" 1.25 floor 1000 5 200
compare "fan-out alone: 1 channel, 10000 clients, 5 messages/s, 200 B" 1.25 floor 10000 5 200
memory "10000 idle clients after a burst of 100 messages of 200 B" 512 10000 100 200
report >"$programs/report.md"
[ "${BENCH_SAVE:-}" != 1 ] || save
cat "$programs/report.md"
