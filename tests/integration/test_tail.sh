#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The object WAL from outside, on a directory: what one process appends and has
# not uploaded, another one follows.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${BUILD:-build}
. tests/integration/facts.sh
writer=''
trap '[ -z "$writer" ] || kill "$writer" 2>/dev/null; rm -rf "$dir"' EXIT

weir() { # ARGUMENT...
    timeout 60 "$build/weir" --store "dir:$dir/store" --wal object: \
        -X upload_interval=1h "$@"
}

mkfifo "$dir/lines"
"$build/weir" --store "dir:$dir/store" --wal object: -X upload_interval=1h \
    append book <"$dir/lines" >"$dir/append.out" 2>&1 &
writer=$!
exec 3>"$dir/lines"

# One line goes in when the reader has told of the others; with no more it would
# wait for ever.
follow() {
    local reader
    printf 'one\ntwo\n' >&3
    until weir -X node_id=2 ls 2>"$dir/ls.err" | grep -q book; do
        kill -0 "$writer" || return 1
        sleep 0.1
    done
    weir -X node_id=2 cat --follow --count 3 book >"$dir/read" &
    reader=$!
    until [ "$(wc -l <"$dir/read")" = 2 ]; do
        kill -0 "$reader" || return 1
        sleep 0.1
    done
    echo three >&3
    wait "$reader" || return 1
    printf 'one\ntwo\nthree\n' | cmp - "$dir/read"
}
nothing_uploaded() {
    [ -z "$(find "$dir/store/data" -type f 2>/dev/null)" ]
}
committed_only() {
    [ -z "$(weir -X node_id=2 -X tail_poll=0s cat book)" ]
}

fact 'another process follows what is appended' follow
fact 'and nothing of it was uploaded' nothing_uploaded
fact 'with tail_poll=0s only what is uploaded is seen' committed_only

# Its slots, checksums verified; and one that is damaged is found.
dump() {
    weir dump wal object: --json >"$dir/dump" &&
        grep -q '"is":"head"' "$dir/dump" &&
        [ "$(grep -c '"kind":"record"' "$dir/dump")" = 3 ]
}
damaged() {
    local slot
    slot=$(find "$dir/store/wal" -type f -size +128c | sort | head -n 1)
    printf X | dd of="$slot" bs=1 seek=224 conv=notrunc 2>/dev/null
    ! weir dump wal object: >"$dir/dump" 2>&1 && grep -qi checksum "$dir/dump"
}
fact 'its slots can be looked into' dump

exec 3>&-
wait "$writer"
writer=''
fact 'and a damaged one is found' damaged
facts_end
