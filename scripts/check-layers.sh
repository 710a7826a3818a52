#!/bin/sh
# Checks that no module includes one of a higher layer, and that every module of src/ and include/ has its layer here.
# Usage: scripts/check-layers.sh [directory of the project]
set -eu
cd "${1:-$(dirname "$0")/..}"

# The lowest first.
layers() {
    cat <<'TABLE'
base: span text buffer problem log metrics settings option address pattern event_id message timeouts table clock names
codec: fcgi query request sse poll wire framing answer keyring token access post snapshot snapshot_form snapshot_reader snapshot_writer
core: collect keys hub inbox offer pins channel history subscriber join merge advance answers replica audience batch interests watch latest
io: activation notify offers publishing poller decoder listener gate acceptor ingest intake confirm curve zap state connection worker bell crew guarded_file keyfile archive saver
edge: config footprint draft health server command command_keygen command_publish command_token main
TABLE
}

{ layers; grep -H '#include "' include/*.h src/*.c; } | awk '
function fault(text) { print text > "/dev/stderr"; faults++ }

/^[a-z]+: / && !/#include/ {
    name = $1
    sub(/:$/, "", name)
    name_of[++height] = name
    for (i = 2; i <= NF; i++)
        height_of[$i] = height
    next
}

{
    split($0, part, /:#include "|\.h"/)
    file = part[1]
    included = part[2]
    module = file
    gsub(/^.*\/|\.[ch]$/, "", module)
    if (!(included in height_of))
        fault(file ": " included ".h has no layer")
    else if (module in height_of && height_of[included] > height_of[module])
        fault(file " (" name_of[height_of[module]] ") includes " included ".h (" name_of[height_of[included]] ")")
}

END {
    while (("ls src/*.c include/*.h" | getline file) > 0) {
        module = file
        gsub(/^.*\/|\.[ch]$/, "", module)
        present[module] = 1
        if (!(module in height_of))
            fault(file ": expected a layer for it in scripts/check-layers.sh")
    }
    for (module in height_of)
        if (!(module in present))
            fault("scripts/check-layers.sh: there is no module " module)
    exit faults > 0
}
'
