#!/bin/sh
# Runs groups of tests and says how many passed: tests/run.sh lint|unit|faults|fuzz|php-client|php-client-server|e2e|e2e-workers|tsan|protocol|recipes|soak|browser|frontends …   (make check calls it)
#
# Counted are the checks of scripts/lint.sh, cmocka tests, fuzz targets (their corpus replayed, or a run of libFuzzer) and
# PHPUnit tests. Everything runs, also after a failure. A program that passes takes one line, one that fails shows all it
# said. The last line is `<N> passed, <N> failed`; exits 1 if something failed, or if nothing ran.
set -u
cd "$(dirname "$0")/.." || exit 1

LIMIT_SECONDS=1200 # for one program; the end-to-end tests need minutes on a busy machine
passed=0
failed=0
work=$(mktemp -d)        # a run's own, so that two can run at once
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
said=$work/said          # what the running program said
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

# Tests open thousands of connections; what is allowed at most is somebody else's decision.
ulimit -S -n "$(ulimit -H -n)" 2>/dev/null || true

bounded() { # command …
    timeout --kill-after=10 "$LIMIT_SECONDS" "$@"
}

# A program that fails without saying which test did counts as one failure.
tell() { # name, exit code, tests passed, tests failed
    failures=$4
    if [ "$2" -ne 0 ] && [ "$failures" -eq 0 ]; then failures=1; fi
    passed=$((passed + $3))
    failed=$((failed + failures))
    if [ "$failures" -eq 0 ]; then
        echo "ok      $1: $3 passed"
        return
    fi
    echo "FAILED  $1: $3 passed, $failures failed, exit code $2"
    sed 's/^/    /' "$said"
}

count() { # pattern
    grep -c "$1" "$said"
}

run_tap() { # name, command …: prints a line `ok …` or `not ok …` per test, and perhaps `1..<how many>` at the start
    title=$1
    shift
    code=0
    bounded "$@" >"$said" 2>&1 </dev/null || code=$?
    planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$said")
    run=$(count '^\(not \)*ok ')
    if [ "$code" -eq 0 ] && [ "${planned:-$run}" -ne "$run" ]; then
        echo "$planned tests were to run, $run did" >>"$said"
        code=1
    fi
    tell "$title" "$code" "$(count '^ok ')" "$(count '^not ok ')"
}

run_whole() { # name, command …: counts as one test
    title=$1
    shift
    code=0
    bounded "$@" >"$said" 2>&1 </dev/null || code=$?
    tell "$title" "$code" $((code == 0)) $((code != 0))
}

run_unit() {
    for source in tests/test_*.c; do
        name=$(basename "$source" .c)
        CMOCKA_MESSAGE_OUTPUT=TAP run_tap "$name" "build/check/$name"
    done
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        run_whole "$name (corpus)" "build/check/$name" "tests/fuzz/corpus/${name#fuzz_}"
    done
}

# What a run finds stays in build/fuzz; an input that fails becomes a file of the corpus by hand. As many at a time as there are processors.
run_fuzz() {
    : >"$work/begun"
    begun=0
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        mkdir -p "build/fuzz/corpus/${name#fuzz_}"
        (
            code=0
            bounded "build/fuzz/$name" -max_total_time="${FUZZ_SECONDS:-20}" -timeout=10 -print_final_stats=0 -verbosity=0 \
                -artifact_prefix="build/fuzz/$name-" "build/fuzz/corpus/${name#fuzz_}" "tests/fuzz/corpus/${name#fuzz_}" >"$work/$name" 2>&1 || code=$?
            echo "$code" >"$work/$name.code"
        ) &
        begun=$((begun + 1))
        [ $((begun % $(nproc))) -ne 0 ] || wait
    done
    wait
    for source in tests/fuzz/fuzz_*.c; do
        name=$(basename "$source" .c)
        mv "$work/$name" "$said"
        code=$(cat "$work/$name.code")
        tell "$name (${FUZZ_SECONDS:-20} s)" "$code" $((code == 0)) $((code != 0))
        find build/fuzz -maxdepth 1 -name "$name-*-*" -newer "$work/begun" -exec echo "    input that fails: {}" \;
    done
}

# Behind nginx everything runs: groups e2e and e2e-workers. Behind Apache and HAProxy all but what is about nginx and its snippets, behind
# the others what every front end has to do. Group not-apache: thousands of streams at once, and an answer before the request's end.
run_frontends() {
    SIDECAST_FRONTEND=haproxy run_phpunit "e2e behind haproxy" tests/e2e/phpunit.xml --exclude-group nginx
    SIDECAST_FRONTEND=apache run_phpunit "e2e behind apache" tests/e2e/phpunit.xml --exclude-group nginx,not-apache,haproxy
    for name in lighttpd caddy h2o; do
        SIDECAST_FRONTEND=$name run_phpunit "e2e behind $name" tests/e2e/phpunit.xml --group front-end --exclude-group nginx
    done
}

attribute() { # name: its value in the outermost <testsuite> of PHPUnit's report, 0 if there is none
    value=$(sed -n "s/.*<testsuite [^>]*[ ]$1=\"\([0-9]*\)\".*/\1/p" "$report" 2>/dev/null | head -n 1)
    echo "${value:-0}"
}

run_phpunit() { # name, configuration, arguments …
    report=$work/phpunit.xml
    rm -f "$report"
    code=0
    title=$1
    shift
    bounded phpunit -c "$@" --colors=never --log-junit "$report" >"$said" 2>&1 </dev/null || code=$?
    failures=$(($(attribute errors) + $(attribute failures)))
    tell "$title" "$code" $(($(attribute tests) - failures - $(attribute skipped))) "$failures"
}

# A race is a report on standard error, and exit code 66.
run_tsan() {
    export TSAN_OPTIONS="suppressions=$PWD/tests/tsan/suppressions exitcode=66 ${TSAN_OPTIONS:-}"
    for program in build/tsan/test_*[!.d]; do
        CMOCKA_MESSAGE_OUTPUT=TAP run_tap "$(basename "$program") (threads)" "$program"
    done
    # Without what is about the memory of the program as it is delivered, or about what one client sends to one thread.
    SIDECAST_BINARY=$PWD/build/tsan/sidecast SIDECAST_WORKERS=2 run_phpunit "e2e (threads)" tests/e2e/phpunit.xml --exclude-group haproxy,overload,hostile
    run_whole "a race that is there is reported" tests/tsan/race.sh
}

run_summed() { # name, command …: its last line is `<N> passed, <N> failed`, or it says that it was skipped
    title=$1
    shift
    code=0
    bounded "$@" >"$said" 2>&1 </dev/null || code=$?
    sum=$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$said" | tail -n 1)
    if [ -z "$sum" ] && [ "$code" -eq 0 ]; then
        echo "skipped $title: $(tail -n 1 "$said")"
        return
    fi
    sum=${sum:-0 0}
    tell "$title" "$code" "${sum% *}" "${sum#* }"
}

for group in "$@"; do
    case $group in
    lint) run_tap lint scripts/lint.sh ;;
    unit) run_unit ;;
    faults) run_tap faults build/check/faults/faults ;;
    fuzz) run_fuzz ;;
    php-client) run_phpunit php-client php-client/phpunit.xml ;;
    php-client-server) run_phpunit php-client-server php-client/tests/server/phpunit.xml ;;
    e2e) SIDECAST_WORKERS=1 run_phpunit e2e tests/e2e/phpunit.xml ;;
    tsan) run_tsan ;;
    e2e-workers) SIDECAST_WORKERS=2 run_phpunit "e2e with 2 workers" tests/e2e/phpunit.xml ;;
    protocol) run_summed protocol php tests/protocol/run.php ;;
    soak) SOAK_SECONDS=${SOAK_SECONDS:-120} run_summed soak php tests/soak/run.php ;;
    recipes) run_summed recipes php tests/recipes/run.php ;;
    frontends) run_frontends ;;
    browser) run_summed browser tests/browser/run.sh ;;
    *)
        echo "run.sh: unknown group '$group'" >&2
        exit 2
        ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
