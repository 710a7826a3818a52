#!/bin/sh
# Checks docs/configuration.md and docs/sidecast.conf.example against the table of options in include/settings.h:
# each option is there with its default, range and "reload", and nothing is there that is no option. And that docs/operations.md
# names each metric of include/metrics.h, docs/protocol.md each code that an answer may have.
# Usage: scripts/check-docs.sh [directory of the project]
set -eu
cd "${1:-$(dirname "$0")/..}"

exec awk '
function fault(text) { print text > "/dev/stderr"; faults++ }

function trim(text) { gsub(/^[ \t]+|[ \t]+$/, "", text); return text }

function integer(text) { gsub(/INT64_C\(|\)/, "", text); return text + 0 }

# An amount in the largest unit that divides it, as src/option.c writes it.
function amount(type, value,   count, units, factors, i) {
    if (type == "number" || value == 0)
        return sprintf("%.0f", value)
    if (type == "time") {
        count = split("d h min s ms", units, " ")
        split("86400000 3600000 60000 1000 1", factors, " ")
    } else {
        count = split("GiB MiB KiB B", units, " ")
        split("1073741824 1048576 1024 1", factors, " ")
    }
    for (i = 1; i < count && value % factors[i] != 0; i++)
        ;
    return sprintf("%.0f", value / factors[i]) units[i]
}

function range(type, least, most) {
    if (type == "flag")
        return "yes, no"
    if (type == "mode")
        return "0000 to " most
    if (type == "number" || type == "size" || type == "time")
        return amount(type, integer(least)) " to " amount(type, integer(most))
    return "" # said in words
}

FILENAME ~ /settings\.h$/ && /^ *X\([a-z]/ {
    sub(/^ *X\(/, "")
    split($0, field, ",")
    for (i = 1; i <= 7; i++)
        field[i] = trim(field[i])
    value = field[4]
    gsub(/"/, "", value)
    name = field[1] "." field[2]
    default_of[name] = value
    range_of[name] = range(field[3], field[5], field[6])
    reload_of[name] = field[7] == "1" ? "yes" : "no"
    count++
}

FILENAME ~ /configuration\.md$/ && /^\| `[a-z]+\.[a-z_]+` \|/ {
    split($0, cell, "|")
    name = trim(cell[2])
    gsub(/`/, "", name)
    value = trim(cell[3])
    gsub(/`/, "", value)
    if (value == "(empty)")
        value = ""
    where = FILENAME ":" FNR ": " name
    if (!(name in default_of)) {
        fault(where ": no such option")
        next
    }
    if (name in documented)
        fault(where ": there twice")
    documented[name] = 1
    if (value != default_of[name])
        fault(where ": default: expected `" default_of[name] "`, got `" value "`")
    if (range_of[name] != "" && trim(cell[4]) != range_of[name])
        fault(where ": range: expected " range_of[name] ", got " trim(cell[4]))
    if (trim(cell[5]) != reload_of[name])
        fault(where ": reload: expected " reload_of[name] ", got " trim(cell[5]))
    if (trim(cell[6]) == "")
        fault(where ": expected a meaning")
}

FILENAME ~ /\.example$/ && /^;?\[/ { section = substr($0, index($0, "[") + 1); sub(/\].*/, "", section) }

FILENAME ~ /\.example$/ && section !~ /^channel / && /^;[a-z_]+ =/ {
    name = section "." substr($1, 2)
    value = trim(substr($0, index($0, "=") + 1))
    where = FILENAME ":" FNR ": " name
    if (!(name in default_of))
        fault(where ": no such option")
    else if (value != default_of[name])
        fault(where ": expected `" default_of[name] "`, got `" value "`")
    shown[name] = 1
}

FILENAME ~ /metrics\.h$/ && /^ *X\([a-z]/ {
    sub(/^ *X\(/, "")
    sub(/,.*/, "")
    needs["docs/operations.md", $0] = "metric"
    metrics++
}

FILENAME ~ /^src\// && match($0, /(problem_set\([^"]*[0-9],|case WIRE_.*return) "[a-z_]+"/) {
    code = substr($0, RSTART, RLENGTH - 1)
    sub(/.*"/, "", code)
    needs["docs/protocol.md", code] = "code"
    codes++
}

FILENAME ~ /(operations|protocol)\.md$/ { said[FILENAME] = said[FILENAME] $0 }

END {
    if (metrics == 0 || codes == 0)
        fault("include/metrics.h, src/: no metrics or no codes found")
    for (pair in needs) {
        split(pair, part, SUBSEP)
        if (!index(said[part[1]], "`" part[2] "`"))
            fault(part[1] ": the " needs[pair] " " part[2] " is missing")
    }
    if (count == 0)
        fault("include/settings.h: no options found")
    for (name in default_of) {
        if (!(name in documented))
            fault("docs/configuration.md: " name " is missing")
        if (!(name in shown))
            fault("docs/sidecast.conf.example: " name " is missing")
    }
    exit faults > 0
}
' include/settings.h docs/configuration.md docs/sidecast.conf.example include/metrics.h docs/operations.md src/*.c docs/protocol.md
