#!/usr/bin/env bash
# The demo: demo/run.sh [PORT]   (default 8080)
#
# Starts sidecast, php-fpm, nginx and the chart's feeder as the user who calls it, each in the foreground as a child of
# this script, with everything they write in build/demo/PORT. Ends them all on Ctrl-C, or when one of them ends.
set -euo pipefail
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where Debian keeps nginx and php-fpm, for users too

root=$(cd "$(dirname "$0")/.." && pwd -P)
port=${1:-8080}
dir=$root/build/demo/$port   # one for each port: a second demo does not disturb the first
sockets=$dir
sidecast=${SIDECAST:-$root/build/sidecast}
declare -A names             # of the children, by process id

fail() {
    echo "demo: $*" >&2
    exit 1
}

# The php-fpm of the php in PATH (php-fpm8.2 on Debian), else any.
find_php_fpm() {
    local version
    version=$(php -r 'echo PHP_MAJOR_VERSION, ".", PHP_MINOR_VERSION;')
    command -v "php-fpm$version" || command -v php-fpm || compgen -c php-fpm | head -n 1
}

check_before_start() {
    [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -le 65535 ]] || fail "'$port' is not a port number"
    for program in nginx php; do
        command -v "$program" >/dev/null || fail "$program is not installed; try: make deps"
    done
    php_fpm=$(find_php_fpm)
    [ -n "$php_fpm" ] || fail "php-fpm is not installed; try: make deps"
    [ -x "$sidecast" ] || fail "$sidecast is not built; try: make"
    # Somebody who answers is found at once; who does not (yet), nginx finds when it binds.
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
        fail "port $port is taken; try another: make demo PORT=$((port < 65535 ? port + 1 : 8081))"
    fi
}

# The path of a unix socket must be below 108 bytes, and nginx takes it without quotes here; a build directory where that
# fails gets its sockets under /tmp.
make_directories() {
    rm -rf "$dir" || fail "cannot empty $dir; does it belong to another user?"
    mkdir -p "$dir/snippets" "$dir/tmp"
    if [[ ${#dir} -gt 80 || $dir == *[!A-Za-z0-9/._-]* ]]; then
        sockets=$(mktemp -d /tmp/sidecast-demo.XXXXXX)
    fi
    chmod 700 "$dir" "$sockets"
}

render() { # template, result
    local text user_line=
    [ "$(id -u)" -ne 0 ] || user_line='user root;' # workers as ourselves, as everything here
    text=$(<"$1")
    text=${text//@ROOT@/"$root"}
    text=${text//@DIR@/"$dir"}
    text=${text//@SOCKETS@/"$sockets"}
    text=${text//@PORT@/"$port"}
    text=${text//@USER_LINE@/"$user_line"}
    text=${text//@USER@/"$(id -un)"}
    # The real snippets name the places of an installed system.
    text=${text//\/run\/sidecast\/fastcgi.sock/"$sockets/sidecast.sock"}
    text=${text//\/var\/log\/nginx\/sidecast.log/"\"$dir/events.log\""}
    printf '%s\n' "$text" >"$2"
}

write_configuration() {
    local snippet
    for snippet in http errors location; do
        render "$root/nginx/sidecast-$snippet.conf" "$dir/snippets/sidecast-$snippet.conf"
    done
    render "$root/demo/nginx.conf.in" "$dir/nginx.conf"
    render "$root/demo/php-fpm.conf.in" "$dir/php-fpm.conf"
    render "$root/demo/sidecast.ini.in" "$dir/sidecast.ini"
}

start() { # name, command …
    "${@:2}" >"$dir/$1.log" 2>&1 &
    names[$!]=$1
}

start_all() {
    local as_root=()
    [ "$(id -u)" -ne 0 ] || as_root=(-R)
    start sidecast "$sidecast" -c "$dir/sidecast.ini"
    start php-fpm "$php_fpm" -F -y "$dir/php-fpm.conf" -p "$dir" "${as_root[@]}"
    start nginx nginx -e stderr -p "$dir" -c "$dir/nginx.conf"
}

# Our own children only, and only those that still run. A second Ctrl-C must not leave one behind.
stop_all() {
    trap - EXIT
    trap '' INT TERM HUP
    local pid
    for pid in $(jobs -rp); do
        kill "$pid" 2>/dev/null || true
    done
    wait
    [ "$sockets" = "$dir" ] || rm -rf "$sockets"
}

# Tells which child has ended, and what it said last.
fail_for_the_ended() {
    local pid running
    running=" $(jobs -rp | tr '\n' ' ')"
    for pid in "${!names[@]}"; do
        if [[ $running != *" $pid "* ]]; then
            echo "demo: ${names[$pid]} has ended; the end of $dir/${names[$pid]}.log:" >&2
            tail -n 12 "$dir/${names[$pid]}.log" >&2
        fi
    done
    exit 1
}

# nginx and php-fpm answer for the page, nginx and sidecast for the channel.
all_answer() {
    php -d default_socket_timeout=2 -r '
        foreach (["/", "/events?transport=poll&channel=chat"] as $path) {
            if (@file_get_contents("http://127.0.0.1:" . $argv[1] . $path) === false) exit(1);
        }' "$port"
}

wait_until_all_answer() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        [ "$(jobs -rp | wc -l)" -eq ${#names[@]} ] || fail_for_the_ended
        ! all_answer || return 0
        sleep 0.1
    done
    fail "no answer on http://127.0.0.1:$port/ after 10 s; the logs are in $dir"
}

check_before_start
make_directories
trap stop_all EXIT
trap 'echo; exit 0' INT
trap 'exit 0' TERM HUP
write_configuration
start_all
wait_until_all_answer
SIDECAST_PUBLISH=ipc://$sockets/publish.sock start chart php "$root/demo/chart.php"

echo
echo "  Sidecast demo:  http://127.0.0.1:$port/"
echo "  Open it in two windows. Ctrl-C ends it. Logs and configuration: $dir"
echo
wait -n || true
fail_for_the_ended
