#!/bin/sh
# Installs what is missing to build, run and check Sidecast: deps.sh [--check] [build|run|check|fuzz|bench|frontends …]
# (default: build, run and check; only CI needs fuzz, `make bench` compares with bench, `make check-frontends` tries frontends)
#
# A package is needed when the command, header or file that it brings is missing, wherever that would come from. With
# --check nothing is installed: it lists what is missing and exits 1, or prints nothing and exits 0.
# Uses apt-get, as root or through sudo. Newly installed services are not started. Elsewhere than on Debian and Ubuntu it
# only says what is missing.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # where Debian keeps nginx and php-fpm, for users too
export LC_ALL=C
policy=/usr/sbin/policy-rc.d

# group, probe, package. Probes: command NAME, header NAME, file PATTERN (any match will do).
needs() {
    cat <<'TABLE'
build command gcc gcc
build header stdio.h libc6-dev
build command make make
build command pkg-config pkg-config
build header zmq.h libzmq3-dev
build header fcgiapp.h libfcgi-dev
build header ev.h libev-dev
build header jansson.h libjansson-dev
build header ini.h libinih-dev
build header sodium.h libsodium-dev
build header cjose/cjose.h libcjose-dev
build header openssl/evp.h libssl-dev
build header uthash.h uthash-dev
build header cmocka.h libcmocka-dev
run command nginx nginx
run command php-fpm* php-fpm
run command php php-cli
run file /usr/lib/php/*/zmq.so php-zmq
check command phpunit phpunit
check file /usr/share/php/Psr/Log/autoload.php php-psr-log
check file /usr/lib/php/*/curl.so php-curl
check command curl curl
check command systemd-socket-activate systemd
fuzz command clang clang
fuzz file /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a libclang-rt-dev
bench file /usr/lib/nginx/modules/ngx_nchan_module.so libnginx-mod-nchan
bench command pushpin pushpin
bench command node nodejs
bench command curl curl
bench file /usr/lib/php/*/curl.so php-curl
frontends command apache2 apache2-bin
frontends command haproxy haproxy
frontends command lighttpd lighttpd
frontends command caddy caddy
frontends command h2o h2o
TABLE
}

is_present() { # probe, name
    case $1 in
    command) command_exists "$2" ;;
    header) header_exists "$2" ;;
    file) any_exists "$2" ;;
    esac
}

command_exists() { # name, may end in * (php-fpm8.2)
    old_ifs=$IFS
    IFS=:
    for directory in $PATH; do
        IFS=$old_ifs
        if any_exists "$directory/$1"; then return 0; fi
    done
    IFS=$old_ifs
    return 1
}

any_exists() { # a path or a pattern
    for match in $1; do
        if [ -e "$match" ]; then return 0; fi
    done
    return 1
}

header_exists() { # asked of the compiler, which knows all its directories; without one, of the usual two
    if command_exists gcc; then
        echo "#include <$1>" | gcc -E -x c - >/dev/null 2>&1
    else
        [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ]
    fi
}

list_missing() { # groups; prints one package a line
    needs | while read -r group probe name package; do
        case " $* " in
        *" $group "*) is_present "$probe" "$name" || echo "$package" ;;
        esac
    done
}

fail() {
    echo "deps: $*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

install_packages() {
    apt install -y --no-install-recommends --no-remove "$@"
}

# With the lists of an older day, names are unknown or files are gone (404): only then are they fetched anew.
install_with_fresh_lists() {
    if apt-get install -s --no-install-recommends --no-remove "$@" >/dev/null 2>&1 && install_packages "$@"; then
        return 0
    fi
    echo "deps: updating the package lists (apt-get update), then once more"
    apt update
    install_packages "$@"
}

# Debian starts services as it installs them unless policy-rc.d says 101. One that is there already is somebody's
# decision: it stays, and if it would let services start, nothing is installed.
forbid_service_starts() {
    if as_root test -e "$policy"; then
        answer=0
        as_root "$policy" nginx start >/dev/null 2>&1 || answer=$?
        [ "$answer" -eq 101 ] || fail "$policy is there and would let services start; install these yourself: $*"
        return 0
    fi
    trap remove_policy EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    # shellcheck disable=SC2016 # $1 is the inner shell's
    # noclobber: fails rather than overwrite one that appeared in between
    as_root sh -c 'umask 022; set -C; printf "%s\n" "#!/bin/sh" "# from deps.sh of sidecast, for the time of one installation" \
        "exit 101" >"$1" && chmod 755 "$1"' sh "$policy" || { trap - EXIT; fail "cannot write $policy"; }
}

remove_policy() {
    as_root rm -f "$policy"
}

main() {
    check_only=no
    if [ "${1-}" = --check ]; then
        check_only=yes
        shift
    fi
    [ $# -gt 0 ] || set -- build run check
    for group in "$@"; do
        case $group in
        build | run | check | fuzz | bench | frontends) ;;
        *) fail "unknown group '$group'; usage: deps.sh [--check] [build|run|check|fuzz|bench|frontends …]" ;;
        esac
    done

    missing=$(list_missing "$@" | tr '\n' ' ')
    missing=${missing% }
    [ -n "$missing" ] || exit 0
    if [ $check_only = yes ]; then
        echo "missing: $missing"
        exit 1
    fi
    command_exists apt-get || fail "there is no apt-get here; install what these Debian packages hold: $missing"
    [ "$(id -u)" -eq 0 ] || command_exists sudo ||
        fail "neither root nor sudo; as root, run: apt-get install --no-install-recommends $missing"

    echo "deps: missing: $missing"
    echo "deps: installing with apt-get (no recommended packages, nothing removed, no service started)"
    # shellcheck disable=SC2086 # one word each
    forbid_service_starts $missing
    # shellcheck disable=SC2086
    install_with_fresh_lists $missing || fail "apt-get could not install: $missing"

    still=$(list_missing "$@" | tr '\n' ' ')
    [ -z "$still" ] || fail "still missing after the installation: $still"
}

main "$@"
