#!/bin/sh
# What publishing costs a page of a real php-fpm behind nginx; run.sh sources this after servers.sh.
#
# publish_from_php PAGES: prints one line for each way of publishing a message of 200 bytes,
#   how=zmtp|zmq|raw|libzmq|curl|stream pages=… median_us=… p99_us=… whole_median_us=… whole_p99_us=…
# zmtp and zmq are the project's client, in pure PHP and with ext-zmq, both with the persistent connection that it makes; curl and
# stream are the usual ways to POST to nchan, where each page connects anew, by loopback TCP. raw is ext-zmq's sendmulti() alone on
# zmq's socket, libzmq (push.c) the same from C, without a page: what the client cannot be quicker than. median_us is the publishing call;
# whole_median_us adds what the page does for it before: loading the client, or making the handle. One page after the other, php-fpm
# with one process, opcache on, on any processor, as in a site: ext-zmq has a thread of its own there. The first tenth is warm-up.

php_library=$(dirname "$(ls -d /usr/lib/php/*/opcache.so 2>/dev/null | tail -n 1)")
php_extensions="-d zend_extension=opcache.so -d opcache.enable=1"
for extension in zmq curl; do
    [ ! -e "$php_library/$extension.so" ] || php_extensions="$php_extensions -d extension=$extension.so"
done

fpm_cpus=0-$((processors - 1))

fpm_program()
{
    for program in /usr/sbin/php-fpm*; do
        [ -x "$program" ] || fail "php-fpm is missing: scripts/deps.sh run"
        echo "$program"
        return
    done
}

launch_fpm()
{
    root_option=
    identity=
    if [ "$(id -u)" = 0 ]; then
        root_option=-R
        identity='user = root'
    fi
    cat >"$directory/fpm.conf" <<CONF
[global]
error_log = /proc/self/fd/2
daemonize = no
[pages]
$identity
listen = $directory/php.sock
pm = static
pm.max_children = 1
catch_workers_output = yes
php_admin_flag[html_errors] = off
php_admin_value[session.save_path] = $directory
CONF
    cpu_before=$server_cpu
    server_cpu=$fpm_cpus
    # shellcheck disable=SC2086
    launch fpm "$(fpm_program)" -n $php_extensions -y "$directory/fpm.conf" -F $root_option
    server_cpu=$cpu_before
    await test -S "$directory/php.sock"
}

# nginx serves the pages and is nchan's publisher as well, as in a site that has nchan.
start_pages()
{
    begin
    launch_sidecast "$directory/fastcgi.sock"
    launch_fpm
    find_port
    listen=$directory/pages.sock
    module=
    nchan=
    if [ -e "$nchan_module" ]; then
        module="load_module $nchan_module;"
        nchan='location = /publish { nchan_publisher; nchan_channel_id $arg_channel; }'
    fi
    write_nginx "$module" "" "
        listen 127.0.0.1:$port;
        $nchan
        location = /publish.php {
            fastcgi_pass unix:$directory/php.sock;
            fastcgi_param SCRIPT_FILENAME $root/bench/php/publish.php;
            fastcgi_param REQUEST_METHOD \$request_method;
            fastcgi_param QUERY_STRING \$query_string;
            fastcgi_param BENCH_SIDECAST $publish;
            fastcgi_param BENCH_NCHAN http://127.0.0.1:$port/publish?channel=;
        }"
    launch_nginx
}

# A page with a session that hands its clients off to sidecast.
start_sidecast_handoff()
{
    begin
    framing=http
    subscribe_path='/events.php?channel=%s'
    launch_sidecast "$directory/fastcgi.sock"
    launch_fpm
    # shellcheck disable=SC2046
    account "$launched" $(children_of "$launched")
    choose_listen http
    copy_snippets
    write_nginx "" "include snippets/sidecast-http.conf;" "
        include snippets/sidecast-errors.conf;
        include snippets/sidecast-handoff.conf;
        location = /events.php {
            include snippets/sidecast-page.conf;
            fastcgi_pass unix:$directory/php.sock;
            fastcgi_param SCRIPT_FILENAME $root/bench/php/events.php;
            fastcgi_param REQUEST_METHOD \$request_method;
            fastcgi_param QUERY_STRING \$query_string;
        }"
    launch_nginx
}

# quantiles COLUMN: median and p99 of what the pages said.
quantiles()
{
    tail -n +$((warm + 1)) "$directory/pages" | cut -d ' ' -f "$1" | sort -n | awk '
        { value[NR] = $1 }
        END { print value[int((NR + 1) / 2)], value[int(NR * 0.99 + 0.999)] }'
}

# summarize HOW PAGES
summarize()
{
    warm=$(($2 / 10))
    how_line="how=$1 pages=$(($2 - warm))"
    # shellcheck disable=SC2046
    set -- $(quantiles 1) $(quantiles 2)
    echo "$how_line median_us=$1 p99_us=$2 whole_median_us=$3 whole_p99_us=$4"
}

# ask_pages HOW PAGES
ask_pages()
{
    curl -sS --fail-with-body --unix-socket "$listen" "http://localhost/publish.php?how=$1&page=[1-$2]" >"$directory/pages" 2>&1 &&
        [ "$(wc -l <"$directory/pages")" = "$2" ] || give_up "pages failed that publish by $1: $(tail -n 2 "$directory/pages")"
}

publish_from_php()
{
    pages=$1
    start_pages
    for how in zmtp zmq raw curl stream; do
        case $how in
        zmq | raw) needed=$php_library/zmq.so ;;
        curl) needed=$php_library/curl.so ;;
        *) needed=$php_library ;;
        esac
        case $how in curl | stream) [ -e "$nchan_module" ] || needed=$nchan_module ;; esac
        [ -e "$needed" ] || continue
        ask_pages "$how" "$pages"
        summarize "$how" "$pages"
    done
    echo "how=libzmq $("$programs/push" "$publish" "$pages")"
    stop_server
}
