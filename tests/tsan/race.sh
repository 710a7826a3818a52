#!/bin/sh
# A daemon whose inboxes lack their lock runs one end-to-end test with two workers: ThreadSanitizer has to report the race in inbox.c, with the
# suppressions that all tests have. Otherwise its silence about the real daemon would mean nothing. Fails if there is no such report.
set -u
cd "$(dirname "$0")/../.." || exit 1
export TSAN_OPTIONS="suppressions=$PWD/tests/tsan/suppressions exitcode=66"
said=$(SIDECAST_BINARY=$PWD/build/tsan/unlocked/sidecast SIDECAST_WORKERS=2 \
    timeout 100 phpunit -c tests/e2e/phpunit.xml --filter test_health_is_told_to_nginx 2>&1)
echo "$said" | grep -q 'WARNING: ThreadSanitizer: data race' && echo "$said" | grep -q 'inbox_[a-z_]* src/inbox.c' && exit 0
echo "$said"
exit 1
