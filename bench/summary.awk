# Runs in, tables out. Input lines: "goal|SCENARIO|cpu or memory|LIMIT|CLIENTS", "SCENARIO|ours or control|key=value …"
# (pair i is the i-th line of each side), "disturbed|SCENARIO|PAIRS LEFT OUT".

function median(values, count,    sorted, i, j, value) {
    for (i = 1; i <= count; i++) {
        value = values[i] + 0
        for (j = i - 1; j > 0 && sorted[j] > value; j--)
            sorted[j + 1] = sorted[j]
        sorted[j + 1] = value
    }
    least = sorted[1] # the range: for the caller
    most = sorted[count]
    return count % 2 ? sorted[(count + 1) / 2] : (sorted[count / 2] + sorted[count / 2 + 1]) / 2
}

# Median and range of one value of one side.
function show(scenario, side, key, format,    values, i, count) {
    count = runs[scenario, side]
    for (i = 1; i <= count; i++)
        values[i] = value_of[scenario, side, i, key]
    if (count == 0)
        return "–"
    return sprintf(format, median(values, count)) " (" sprintf(format, least) "–" sprintf(format, most) ")"
}

# Sets `middle`; a pair is ours divided by its control.
function show_ratio(scenario,    values, i, count) {
    count = runs[scenario, "ours"]
    for (i = 1; i <= count; i++)
        values[i] = value_of[scenario, "ours", i, "cpu_us"] / value_of[scenario, "control", i, "cpu_us"]
    middle = median(values, count)
    return sprintf("%.2f (%.2f–%.2f)", middle, least, most)
}

# "missed, within noise": the median misses the goal, some run reaches it.
function verdict(limit) {
    return middle <= limit ? "met" : least <= limit ? "missed, within noise" : "missed"
}

function show_memory(scenario,    values, i, count) {
    count = runs[scenario, "ours"]
    for (i = 1; i <= count; i++)
        values[i] = (value_of[scenario, "ours", i, "pss_after"] - value_of[scenario, "ours", i, "pss_before"]) / clients[scenario]
    middle = median(values, count)
    return sprintf("%.0f (%.0f–%.0f)", middle, least, most)
}

BEGIN { FS = "|" }

$1 == "goal" {
    names[++scenarios] = $2
    metric[$2] = $3
    goal[$2] = $4
    clients[$2] = $5
    next
}

$1 == "disturbed" {
    disturbed[$2] = $3
    next
}

{
    run = ++runs[$1, $2]
    count = split($3, pairs, " ")
    for (i = 1; i <= count; i++) {
        split(pairs[i], pair, "=")
        value_of[$1, $2, run, pair[1]] = pair[2]
    }
}

# Both sides write the same bytes, or the ratio means nothing.
function show_bytes(scenario,    ours, control) {
    ours = value_of[scenario, "ours", 1, "bytes"]
    control = value_of[scenario, "control", 1, "bytes"]
    return ours == control ? ours : ours " against " control "!"
}

function show_latency(scenario, side) {
    return show(scenario, side, "p50_ms", "%.1f") " / " show(scenario, side, "p99_ms", "%.1f") " / " \
        show(scenario, side, "p999_ms", "%.1f")
}

function print_cpu(    s, name, ratio, word) {
    print "| scenario | ratio | goal | sidecast, µs of CPU per delivery | control | bytes per delivery | pairs (left out) |"
    print "|---|---|---|---|---|---|---|"
    for (s = 1; s <= scenarios; s++) {
        name = names[s]
        if (metric[name] != "cpu")
            continue
        ratio = show_ratio(name)
        word = verdict(goal[name])
        printf "| %s | **%s** | ≤ %s: %s | %s | %s | %s | %d (%d) |\n", name, ratio, goal[name], word,
            show(name, "ours", "cpu_us", "%.2f"), show(name, "control", "cpu_us", "%.2f"), show_bytes(name),
            runs[name, "ours"], disturbed[name]
    }
}

function print_latency(    s, name) {
    print "| publish to receipt, ms: p50 / p99 / p99.9 | sidecast | control |"
    print "|---|---|---|"
    for (s = 1; s <= scenarios; s++) {
        name = names[s]
        if (metric[name] == "cpu")
            printf "| %s | %s | %s |\n", name, show_latency(name, "ours"), show_latency(name, "control")
    }
}

function print_memory(    s, name, memory) {
    print "| scenario | bytes of memory per subscriber | goal | runs |"
    print "|---|---|---|---|"
    for (s = 1; s <= scenarios; s++) {
        name = names[s]
        if (metric[name] != "memory")
            continue
        memory = show_memory(name)
        printf "| %s | **%s** | ≤ %s: %s | %d |\n", name, memory, goal[name], verdict(goal[name]), runs[name, "ours"]
    }
}

END {
    print_cpu()
    print ""
    print_latency()
    print ""
    print_memory()
}
