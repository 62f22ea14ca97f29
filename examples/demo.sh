#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job, on a directory and a file WAL: append real text, die in the
# middle (kill -9), recover, read back, compare with what was acknowledged;
# then the same through weir-kafka with a real Kafka client.
#
#     examples/demo.sh          (from the root of the repository: make demo)
#
# Everything happens in a temporary directory, which is removed at the end.
set -euo pipefail
BUILD=${BUILD:-build}
weir=$BUILD/weir server=$BUILD/weir-kafka
dir=$(mktemp -d "${TMPDIR:-/tmp}/weir-demo-XXXXXX")
pids=()

finish() {
    local status=$?
    kill_9 "${pids[@]}"
    if [ "$status" != 0 ]; then
        echo "demo: failed; what the programs said:" >&2
        tail -n 20 "$dir"/*.log >&2 2>/dev/null || true
    fi
    rm -rf "$dir"
    exit "$status"
}
trap finish EXIT

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
fail() {
    echo "demo: $*" >&2
    exit 1
}
kill_9() { # PID...
    local pid
    for pid in "$@"; do
        kill -9 "$pid" 2>/dev/null || true
        while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
    done
}
now() { date +%s%N; }
# MILLISECONDS-SINCE START
since() { echo $((($(now) - $1) / 1000000)); }
# What was done, how long it took, and what that makes per second.
rate() { # LINES BYTES MILLISECONDS
    awk -v n="$1" -v b="$2" -v ms="$3" 'BEGIN {
        if (ms < 1) ms = 1
        printf "%d records, %.1f MiB in %.2f s: %d records/s, %.1f MiB/s",
            n, b / 1048576, ms / 1000, n * 1000 / ms,
            b * 1000 / ms / 1048576 }'
}
same() { # FILE FILE WHAT
    cmp -s "$1" "$2" || fail "$3: not the bytes that were appended"
}

text=$dir/text
store=dir:$dir/store
wal="file:$dir/wal?size=256MiB"
run() { "$weir" --store "$store" --wal "$wal" "$@"; }

step "Real text: this repository's own, over and over"
find include lib examples docs -type f \( -name '*.[ch]' -o -name '*.md' \) \
    -print0 | sort -z | xargs -0 cat LICENSE README.md | grep . >"$dir/once"
for _ in $(seq 8); do cat "$dir/once"; done >"$text"
lines=$(wc -l <"$text")
bytes=$(wc -c <"$text")
say "$lines lines, $bytes bytes"

step "Append it, one record a line, and kill -9 in the middle"
# A pipe that never ends, so that the writer cannot be done before it dies.
mkfifo "$dir/pipe"
exec 9<>"$dir/pipe"
cat "$text" >&9 2>/dev/null &
feeder=$!
disown # So that the shell does not tell of the kill.
"$weir" --store "$store" --wal "$wal" append book --ack \
    <"$dir/pipe" >"$dir/acked" 2>"$dir/append.log" 9>&- &
writer=$!
disown
pids=("$feeder" "$writer")
for _ in $(seq 500); do
    [ "$(wc -l <"$dir/acked")" -lt $((lines / 3)) ] || break
    kill -0 "$writer" 2>/dev/null || fail "the writer ended by itself"
    sleep 0.02
done
kill_9 "$writer" "$feeder"
exec 9>&-
pids=()
# A line that was cut off by the kill tells of nothing.
acked=$(grep -c '' "$dir/acked")
tail -c 1 "$dir/acked" | grep -q '^$' || acked=$((acked - 1))
[ "$acked" -gt 0 ] || fail "nothing was acknowledged before the kill"
say "killed after $acked acknowledgements had arrived"

step "Open again: recover, and read everything back"
start=$(now)
run cat book >"$dir/back" 2>"$dir/recover.log"
back=$(wc -l <"$dir/back")
say "$(rate "$back" "$(wc -c <"$dir/back")" "$(since "$start")")"
[ "$back" -ge "$acked" ] || fail "$acked were acknowledged, $back are there"
head -n "$back" "$text" >"$dir/expected"
same "$dir/expected" "$dir/back" "after the kill"
say "all $acked acknowledged records are there, byte for byte, in order;"
say "$((back - acked)) more had been written and not yet acknowledged to us"

step "Append the rest, and flush everything into objects"
start=$(now)
tail -n +$((back + 1)) "$text" | run append book >"$dir/rest.log" 2>&1
say "$(rate $((lines - back)) "$(tail -n +$((back + 1)) "$text" | wc -c)" \
    "$(since "$start")"), durable"
start=$(now)
run flush >"$dir/flush.log" 2>&1
say "$(find "$dir/store/data" -type f -printf '%s\n' | awk '
    { s += $1 } END { printf "%.1f MiB", s / 1048576 }') in objects after" \
    "$(since "$start") ms"

step "Read it back from the objects alone, without the WAL"
start=$(now)
"$weir" --store "$store" -X read_only=true cat book >"$dir/back" \
    2>"$dir/read.log"
say "$(rate "$lines" "$bytes" "$(since "$start")")"
same "$text" "$dir/back" "from objects"
say "the same $lines records, byte for byte"

if [ ! -x "$server" ] || ! command -v kcat >/dev/null; then
    step "No weir-kafka or no kcat here: the Kafka part is left out"
    exit 0
fi

serve() { # sets $server_pid and $address
    : >"$dir/address"
    "$server" --store "dir:$dir/kafka" --wal "file:$dir/kafka-wal?size=256MiB" \
        --listen 127.0.0.1:0 >"$dir/address" 2>>"$dir/kafka.log" &
    server_pid=$!
    disown
    pids=("$server_pid")
    for _ in $(seq 500); do
        address=$(grep -oE '127\.0\.0\.1:[1-9][0-9]*' "$dir/address" |
            head -n 1) && return 0
        kill -0 "$server_pid" 2>/dev/null || fail "weir-kafka ended"
        sleep 0.02
    done
    fail "weir-kafka did not come up"
}

step "The same through weir-kafka, with kcat as the client"
start=$(now)
serve
say "weir-kafka listens on $address after $(since "$start") ms"
start=$(now)
kcat -P -b "$address" -t book -p 0 -z lz4 -X acks=all -l "$text" \
    2>"$dir/kcat.log"
say "produced: $(rate "$lines" "$bytes" "$(since "$start")")"
kill_9 "$server_pid"
say "kill -9 of the server"
start=$(now)
serve
say "it is back after $(since "$start") ms, everything recovered"
start=$(now)
kcat -C -b "$address" -t book -p 0 -o beginning -e -q \
    >"$dir/back" 2>>"$dir/kcat.log"
say "consumed: $(rate "$(wc -l <"$dir/back")" "$(wc -c <"$dir/back")" \
    "$(since "$start")")"
same "$text" "$dir/back" "through Kafka"
say "the same $lines records, byte for byte"
kill "$server_pid"
for _ in $(seq 500); do
    kill -0 "$server_pid" 2>/dev/null || break
    sleep 0.01
done
! kill -0 "$server_pid" 2>/dev/null || fail "weir-kafka does not end"
pids=()

printf '\nDone.  Nothing that was acknowledged was lost.\n'
