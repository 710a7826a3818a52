# Runs in, tables out. Input lines, as run.sh writes them:
#   row|NAME|TITLE
#   goal|NAME|KIND|KEY|OURS|OTHER|le or ge|LIMIT|TEXT
#   extra|NAME|KEY|HEADING
#   run|NAME|LABEL|key=value …              round i is the i-th line of each label
#   rounds|NAME|DONE|LEFT OUT|KEPT THOUGH DISTURBED

BEGIN { FS = "|" }

$1 == "row" {
    names[++rows] = $2
    title[$2] = $3
    next
}

$1 == "goal" {
    goals++
    for (i = 2; i <= 9; i++)
        goal[goals, i] = $i
    next
}

$1 == "extra" {
    extras++
    for (i = 2; i <= 4; i++)
        extra[extras, i] = $i
    next
}

$1 == "rounds" {
    done[$2] = $3
    left_out[$2] = $4
    kept[$2] = $5
    next
}

$1 == "run" {
    if (!(($2, $3) in known)) {
        known[$2, $3] = 1
        label[$2, ++labels[$2]] = $3
    }
    count = split($4, pairs, " ")
    for (i = 1; i <= count; i++) {
        split(pairs[i], pair, "=")
        if (pair[1] == "failed")
            failed[$2, $3]++
        value[$2, $3, pair[1], ++values[$2, $3, pair[1]]] = pair[2]
    }
}

# Sets least and most as well.
function median(list, count,    sorted, i, j, current) {
    for (i = 1; i <= count; i++) {
        current = list[i] + 0
        for (j = i - 1; j > 0 && sorted[j] > current; j--)
            sorted[j + 1] = sorted[j]
        sorted[j + 1] = current
    }
    least = sorted[1]
    most = sorted[count]
    return count % 2 ? sorted[(count + 1) / 2] : (sorted[count / 2] + sorted[count / 2 + 1]) / 2
}

# Three digits that mean something.
function number(x) {
    return x >= 100 || x <= -100 ? sprintf("%.0f", x) : x >= 10 || x <= -10 ? sprintf("%.1f", x) : sprintf("%.2f", x)
}

function with_range(list, count) {
    middle = median(list, count)
    return count == 1 ? number(middle) : number(middle) " (" number(least) "–" number(most) ")"
}

function show(name, who, key,    list, i, count) {
    count = values[name, who, key]
    if (count == 0)
        return "–"
    for (i = 1; i <= count; i++)
        list[i] = value[name, who, key, i]
    return with_range(list, count)
}

# The same of what is a word: each that came, with how often.
function show_words(name, who, key,    i, word, seen, count, text) {
    for (i = 1; i <= values[name, who, key]; i++)
        seen[value[name, who, key, i]]++
    for (word in seen)
        text = text (text ? ", " : "") word " × " seen[word]
    return text ? text : "–"
}

# Of goal g: the figure of each round, by round; their number.
function figures(g, list,    name, kind, key, count, i, a, b) {
    name = goal[g, 2]; kind = goal[g, 3]; key = goal[g, 4]
    count = values[name, goal[g, 5], key]
    if (kind != "value" && values[name, goal[g, 6], key] < count)
        count = values[name, goal[g, 6], key]
    for (i = 1; i <= count; i++) {
        a = value[name, goal[g, 5], key, i]
        b = value[name, goal[g, 6], key, i]
        list[i] = kind == "value" ? a : kind == "difference" ? a - b : b > 0 ? a / b : 0
    }
    return count
}

# A spread's limit is at least that of the other's own runs: the most of them by their median.
function limit_of(g,    name, key, i, count, list, own) {
    if (goal[g, 3] != "spread")
        return goal[g, 8]
    name = goal[g, 2]; key = goal[g, 4]
    count = values[name, goal[g, 6], key]
    for (i = 1; i <= count; i++)
        list[i] = value[name, goal[g, 6], key, i]
    own = median(list, count)
    return own > 0 && most / own > goal[g, 8] ? most / own : goal[g, 8]
}

# "missed, within noise": the median misses the goal, some round reaches it.
function verdict(op, limit) {
    if (op == "ge")
        return middle >= limit ? "met" : most >= limit ? "missed, within noise" : "missed"
    return middle <= limit ? "met" : least <= limit ? "missed, within noise" : "missed"
}

function print_goals(    r, g, name, list, count, shown, limit, word) {
    print "| scenario | figure | goal | median (range) | verdict | rounds (left out, disturbed) |"
    print "|---|---|---|---|---|---|"
    for (r = 1; r <= rows; r++)
        for (g = 1; g <= goals; g++) {
            name = names[r]
            if (goal[g, 2] != name)
                continue
            count = figures(g, list)
            limit = limit_of(g)
            shown = count > 0 ? with_range(list, count) : "–"
            word = count > 0 ? verdict(goal[g, 7], limit) : "not measured"
            if (failed[name, goal[g, 5]])
                word = "broken in " failed[name, goal[g, 5]] " runs"
            printf "| %s | %s | %s %s | **%s** | %s | %d (%d, %d) |\n", title[name], goal[g, 9], goal[g, 7] == "ge" ? "≥" : "≤",
                number(limit), shown, word, done[name], left_out[name], kept[name]
        }
}

function print_runs(    r, l, name, who) {
    print "| scenario | server | µs of CPU per delivery | without nginx | publish to receipt, ms: p50 / p99 / p99.9 | messages/s | bytes per delivery | all else on the machine, CPU time per second | broken runs |"
    print "|---|---|---|---|---|---|---|---|---|"
    for (r = 1; r <= rows; r++)
        for (l = 1; l <= labels[names[r]]; l++) {
            name = names[r]
            who = label[name, l]
            if (values[name, who, "cpu_us"] + failed[name, who] == 0)
                continue
            printf "| %s | %s | %s | %s | %s / %s / %s | %s | %s | %s | %d |\n", title[name], who, show(name, who, "cpu_us"),
                show(name, who, "own_us"), show(name, who, "p50_ms"), show(name, who, "p99_ms"), show(name, who, "p999_ms"),
                show(name, who, "rate"), show(name, who, "bytes"), show(name, who, "foreign"), failed[name, who]
        }
}

function print_extras(    r, e, l, name) {
    print "| scenario | figure | server | median (range) |"
    print "|---|---|---|---|"
    for (r = 1; r <= rows; r++)
        for (e = 1; e <= extras; e++) {
            name = names[r]
            if (extra[e, 2] != name)
                continue
            for (l = 1; l <= labels[name]; l++)
                printf "| %s | %s | %s | %s |\n", title[name], extra[e, 4], label[name, l], \
                    extra[e, 3] == "limit" ? show_words(name, label[name, l], "limit") : show(name, label[name, l], extra[e, 3])
        }
}

END {
    print_goals()
    print ""
    print_runs()
    if (extras > 0) {
        print ""
        print_extras()
    }
}
