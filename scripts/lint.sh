#!/bin/sh
# Checks the sources without running them; prints `ok <check>` or `not ok <check>` after what is wrong. Exits 1 if something is.
set -u
cd "$(dirname "$0")/.." || exit 1
status=0

check() { # name, command …
    name=$1
    shift
    if "$@"; then
        echo "ok $name"
    else
        echo "not ok $name"
        status=1
    fi
}

# Of our own texts: all but what is built, fetched, or bytes for fuzzing.
sources() { # find's tests of the name …
    find . \( -path ./.git -o -path ./build -o -path ./tests/fuzz/corpus -o -name vendor -o -name node_modules \) -prune \
        -o -type f \( "$@" \) -print | sort
}

whitespace() {
    faults=0
    for file in $(sources -name '*.[ch]' -o -name '*.sh' -o -name '*.php' -o -name '*.md' -o -name '*.conf' -o -name '*.in' \
        -o -name '*.js' -o -name '*.css' -o -name '*.html' -o -name '*.xml' -o -name '*.json' -o -name '*.example'); do
        if grep -nH "$(printf '\t')" "$file"; then faults=1; fi
        if grep -nH ' $' "$file"; then faults=1; fi
    done
    if grep -nH "[[:blank:]]$" Makefile; then faults=1; fi
    return $faults
}

# By its own first line, since bash reads more than sh.
shell_syntax() {
    faults=0
    for file in $(sources -name '*.sh' -o -path './.ci/*'); do
        case $(head -n 1 "$file") in
        '#!'*bash) bash -n "$file" || faults=1 ;;
        '#!'*sh) sh -n "$file" || faults=1 ;;
        *)
            echo "$file: expected #! and a shell in the first line"
            faults=1
            ;;
        esac
    done
    return $faults
}

php_syntax() {
    faults=0
    for file in $(sources -name '*.php'); do
        php -l "$file" >/dev/null || faults=1
    done
    return $faults
}

check "layers" scripts/check-layers.sh
check "options are documented" scripts/check-docs.sh
check "no tabs or trailing blanks" whitespace
check "shell syntax" shell_syntax
check "PHP syntax" php_syntax
exit $status
