#!/usr/bin/env bash
# Builds the containers of compose.yaml, starts them, and tries the demo through them (make compose-check).
#
# Uses docker compose if a docker engine answers, else podman-compose; where neither is there, it says so and exits 0. One line
# `ok …` or `not ok …` for each check; the last line is `<N> passed, <N> failed`. PORT (18080) must be free.
set -u
cd "$(dirname "$0")/.." || exit 1

project=sidecast-check # beside a demo that somebody runs, not in its place
START_WITHIN_SECONDS=60
passed=0
failed=0

choose_engine() {
    if docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
        engine=docker
        compose=(docker compose -p "$project")
    elif command -v podman-compose >/dev/null && command -v podman >/dev/null; then
        engine=podman
        compose=(podman-compose -p "$project")
    else
        echo "compose-check: skipped, neither docker compose (with an engine) nor podman-compose is here"
        exit 0
    fi
}

quietly() { # command …: shows what it said only if it fails
    local said
    said=$("$@" 2>&1) || {
        printf '%s\n' "$said" | tail -n 40 >&2
        return 1
    }
}

check() { # sentence, command …
    if quietly "${@:2}"; then
        echo "ok - $1"
        passed=$((passed + 1))
    else
        echo "not ok - $1"
        failed=$((failed + 1))
    fi
}

container() { # service
    "$engine" ps -q --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1"
}

inside() { # service, command …
    "$engine" exec "$(container "$1")" "${@:2}"
}

wait_for() { # command …
    local end=$((SECONDS + START_WITHIN_SECONDS))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}

ask() { # path, curl's options …
    curl -fsS --max-time 10 "http://127.0.0.1:$port$1" "${@:2}"
}

# An engine runs health checks by itself (docker), or needs systemd for that (podman): there it is asked to, now.
is_healthy() { # service
    if [ "$engine" = podman ]; then
        podman healthcheck run "$(container "$1")"
    else
        [ "$(docker inspect -f '{{.State.Health.Status}}' "$(container "$1")")" = healthy ]
    fi
}

# podman-compose does not fail when a container cannot be started.
is_running() { # service; says why it is not
    local id
    id=$("$engine" ps -aq --filter "label=com.docker.compose.project=$project" --filter "label=com.docker.compose.service=$1")
    if [ -z "$id" ]; then
        echo "$1 has no container"
        return 1
    fi
    [ "$("$engine" inspect -f '{{.State.Running}}' "$id")" = true ] && return
    "$engine" inspect -f "$1 is {{.State.Status}}, exit code {{.State.ExitCode}} {{.State.Error}}" "$id"
    "$engine" logs --tail 15 "$id" 2>&1
    "$engine" start "$id" # for its error, which podman does not keep
    return 1
}

is_page() {
    ask / | grep -q '<h1>Sidecast</h1>'
}

runs_as_user() { # service
    [ "$(inside "$1" id -u)" -ne 0 ]
}

cannot_write() { # service
    # shellcheck disable=SC2016 # the inner shell's
    ! inside "$1" sh -c 'for place in / /etc /usr/local/bin /srv; do touch "$place/x" && exit 0; done; exit 1'
}

# Publishes through the page, and wants it back. (Streams are read by <(…), since a pipe would wait for curl's end, too.)
hears_what_is_said() { # transport
    local cursor text=$RANDOM$RANDOM
    cursor=$(ask '/events?channel=chat&transport=poll' | grep -o '[0-9]*-[0-9]*') || return 1
    ask /chat.php -d client=check -d name=Check -d "text=$text" || return 1
    if [ "$1" = poll ]; then
        ask "/events?channel=chat&transport=poll&cursor=$cursor" | grep -q "$text"
    else
        grep -q -m 1 "$text" < <(ask "/events?channel=chat&cursor=$cursor" -N 2>/dev/null)
    fi
}

chart_moves() {
    [ "$(grep -m 3 -c '"value"' < <(ask '/events?channel=chart' -N 2>/dev/null))" -eq 3 ]
}

writes_text() {
    local id
    id=$(printf '%016x' "$RANDOM")
    ask /text.php -d "id=$id" -d topic=order && grep -q -m 1 '^event: end' < <(ask "/events?channel=text/$id&cursor=0" -N 2>/dev/null)
}

restarts() { # service
    quietly "$engine" restart -t 5 "$(container "$1")" && wait_for is_healthy "$1"
}

choose_engine
port=${PORT:-18080}
export PORT=$port
trap 'quietly "${compose[@]}" down -v' EXIT

check "the images are built with $engine" "${compose[@]}" build
check 'the services start' "${compose[@]}" up -d
for service in nginx php-fpm sidecast chart; do
    check "$service is running" is_running "$service"
done
if [ "$failed" -gt 0 ]; then
    echo "$passed passed, $failed failed"
    exit 1
fi
wait_for is_page
for service in nginx php-fpm sidecast; do
    check "$service is healthy" wait_for is_healthy "$service"
done
for service in nginx php-fpm sidecast chart; do
    check "$service does not run as root" runs_as_user "$service"
    check "$service cannot write to its file system" cannot_write "$service"
done
check 'the page is there' is_page
check 'what a page publishes reaches a stream' hears_what_is_said stream
check 'what a page publishes reaches a long poll' hears_what_is_said poll
check 'the chart moves' chart_moves
check 'a text is written to its end' writes_text
for service in sidecast php-fpm nginx; do
    check "$service starts again on the volume that it left" restarts "$service"
done
check 'what a page publishes reaches a stream after that' hears_what_is_said stream

if [ "$failed" -gt 0 ]; then
    for service in nginx php-fpm sidecast chart; do
        echo "--- the end of the log of $service"
        "$engine" logs --tail 15 "$(container "$service")" 2>&1
    done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
