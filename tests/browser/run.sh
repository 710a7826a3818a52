#!/bin/sh
# The browser tests: tests/browser/run.sh   (make check-browser; needs build/check/sidecast, nginx, php-fpm and the demo's PHP)
#
# Says what is missing and exits 0 where node or chromium is not there; the driver library comes with npm on the first run.
# Prints TAP; the last line is `<N> passed, <N> failed`.
set -u
cd "$(dirname "$0")" || exit 1
chromium=${CHROMIUM:-/usr/bin/chromium}

for program in node npm "$chromium"; do
    if ! command -v "$program" >/dev/null; then
        echo "browser tests: skipped, $program is not here (Debian: apt-get install chromium nodejs npm)"
        exit 0
    fi
done
if ! npm ls >/dev/null 2>&1; then # not what package-lock.json says
    npm ci --no-audit --no-fund --ignore-scripts >/dev/null || {
        echo 'browser tests: npm ci failed' >&2
        exit 1
    }
fi

report=$(mktemp)
trap 'rm -f "$report"' EXIT
code=0
node --test --test-concurrency=1 --test-reporter=tap --test-reporter-destination="$report" --test-reporter=tap \
    --test-reporter-destination=stdout ./*.test.js || code=$?
count() { # pass|fail|cancelled
    sed -n "s/^# $1 //p" "$report"
}
failed=$(($(count fail) + $(count cancelled)))
echo "$(count pass) passed, $failed failed"
[ "$code" -eq 0 ] && [ "$failed" -eq 0 ]
