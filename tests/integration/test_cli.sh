#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every command of weir, its messages and its exit codes, on a directory and a
# file WAL.  Each check is named by the fact it proves.
#
#     BUILD=build tests/integration/test_cli.sh
# shellcheck disable=SC2016 # Quoted expressions are for eval.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$(realpath "${BUILD:-build}")
dir=$(mktemp -d)
loop=
trap 'kill %% 2>/dev/null; [ -z "$loop" ] || losetup -d "$loop"; rm -rf "$dir"' EXIT
PATH=$build:$PATH
unset WEIR_STORE WEIR_WAL WEIR_MANIFEST
passed=0 failed=0

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1
    shift
    if "$@" >"$dir/log" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        sed 's/^/    /' "$dir/log"
    fi
}

# status CODE TEXT COMMAND...: the command ends with that status, and stderr
# says that.
status() {
    local want=$1 text=$2 got
    shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    got=$?
    [ "$got" = "$want" ] && grep -qF -- "$text" "$dir/err" && return 0
    echo "status $got, expected $want; expected on stderr: $text"
    cat "$dir/err"
    return 1
}

# same TEXT COMMAND...: the command succeeds and prints that.
same() {
    local want=$1
    shift
    "$@" >"$dir/out" || return 1
    printf '%b' "$want" | cmp - "$dir/out"
}

# json EXPRESSION COMMAND...: each line printed is JSON, and the Python
# expression holds of the list `rows` of them.
json() {
    local expression=$1
    shift
    "$@" >"$dir/out" || return 1
    python3 - "$expression" "$dir/out" <<'PYTHON'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[2])]
print(str(rows[:3])[:500])
sys.exit(0 if eval(f"({sys.argv[1]})") else 1)
PYTHON
}

append() { # append STREAM TEXT [OPTION]...
    local name=$1 text=$2
    shift 2
    printf '%b' "$text" | weir append "$name" "$@"
}

# Wait until a file has as many lines, for ten seconds at most.
wait_lines() {
    local file=$1 lines=$2
    for _ in $(seq 200); do
        [ "$(wc -l <"$file")" -ge "$lines" ] && return 0
        sleep 0.05
    done
    echo "$file has $(wc -l <"$file") lines, expected $lines"
    return 1
}

usage() {
    check "help lists the commands" eval 'weir --help | grep -q "bench append"'
    for command in append cat ls stat trim rm flush "bench append" \
        "bench fetch" "dump wal" "dump object" "dump manifest" probe properties; do
        # shellcheck disable=SC2086 # Two words are two arguments.
        check "help of $command names it" \
            eval "weir $command --help | grep -q '^Usage: .* $command'"
    done
    check "version is printed" eval 'weir --version | grep -q "^weir [0-9]"'
    check "no command is wrong usage" status 2 "no command was given" weir
    check "an unknown command is named" status 2 "no such command: foo" \
        weir foo
    check "an unknown option is named" status 2 "unknown option --foo" \
        weir cat --foo x
    check "a missing argument is named" status 2 "is missing: STREAM" \
        weir append
    check "an argument too many is named" status 2 "one argument too many: b" \
        weir --store mem: cat a b
    check "an unknown property is named" status 2 "nope" \
        weir -X nope=1 --store mem: ls
    check "a bad value names the property" status 2 "log_cache" \
        weir -X log_cache=much --store mem: ls
    check "a property needs a value" status 2 "expected KEY=VALUE" \
        weir -X log_cache --store mem: ls
    check "no store is wrong usage, and it says what to do" \
        status 2 "--store dir:/path" weir ls
    check "a malformed store names what was expected" \
        status 2 'store: URI "nope"' weir --store nope ls
    check "an append to S3 without a WAL asks for one" \
        status 2 "--wal file:" weir --store s3://bucket append x
    check "a wrong log is wrong usage" status 2 "1MiB or more" \
        weir --store "dir:$dir/none" --wal "file:$dir/no-log?size=1KiB" append x
    for command in "trim x 1" "rm x" flush "takeover 2" ls; do
        # shellcheck disable=SC2086 # Words are arguments.
        check "$command makes no store" status 1 "No such file" \
            weir --store "dir:$dir/none" $command
    done
    check "and nothing of them is left" eval '
        [ ! -e "$dir/none" ] && [ ! -e "$dir/no-log" ]'
    check "a bad number names the option" status 2 "--count -1" \
        weir --store mem: cat x --count -1
    check "the properties are listed" \
        json 'any(r["key"] == "wal" for r in rows)' weir properties --json
}

records() {
    check "append is silent" same '' append lines 'one\ntwo\n\nthree'
    check "lines come back as they were, empty ones too" \
        same 'one\ntwo\n\nthree\n' weir cat lines
    check "ack prints the offsets in order" \
        same '4\n5\n6\n' append lines 'a\nb\nc\n' --ack
    check "append --json tells what was acknowledged" \
        json 'rows == [{"stream": "lines", "records": 2, "bytes": 6,
                        "first": 7, "last": 8}]' \
        append lines 'ddd\neee\n' --json
    check "nothing on stdin is no record" same '9\n' \
        append lines 'x' --ack
    append lines ''
    check "nothing on stdin appends nothing" same '10\n' \
        append lines 'y' --ack
    check "cat --from --to gives that range" \
        same 'two\n\n' weir cat lines --from 1 --to 3
    check "cat --count gives so many" \
        same 'one\ntwo\n' weir cat lines --count 2
    check "cat --from -N gives the last ones" \
        same 'eee\nx\ny\n' weir cat lines --from -3
    check "cat --from end gives nothing" same '' weir cat lines --from end
    check "cat --raw puts nothing between" \
        same 'onetwo' weir cat lines --raw --to 2
    check "cat --json has offset, timestamp and data" \
        json 'rows[0]["offset"] == 1 and rows[0]["data"] == "two"
              and rows[0]["timestamp"] > 1500000000000' \
        weir cat --json lines --from 1 --count 1
    check "zero-terminated records come back as they were" eval '
        append zero "a\nb\0\0c\0" -0 && same "a\nb\0\0c\0" weir cat -0 zero'
    check "any byte can be the delimiter" eval '
        append comma "a,b,,c" -d , && same "a\nb\n,\nc\n" weir cat comma'
    head -c 300000 /dev/urandom >"$dir/blob"
    check "a whole file is one record" \
        same '0\n' weir append blob --whole --ack <"$dir/blob"
    check "its bytes come back as they were" \
        eval 'weir cat --raw blob | cmp - "$dir/blob"'
    check "bytes that are not UTF-8 are base64 in JSON" \
        json '__import__("base64").b64decode(rows[0]["data_base64"]) ==
              open("'"$dir"'/blob", "rb").read()' weir cat --json blob
    seq 1 200000 >"$dir/many"
    check "many records keep their order" eval '
        weir append many <"$dir/many" && weir cat many | cmp - "$dir/many"'
    check "a record that is too long is refused, by its number" \
        status 1 "record 2 is longer than max_batch" \
        eval '{ echo a; head -c 20000 /dev/zero | tr "\0" x; } |
              weir -X max_batch=10KiB append long'
    check "the records before it are there" same 'a\n' weir cat long
    check "append --no-create needs the stream" \
        status 1 "none: no such stream" append none x --no-create
}

streams() {
    check "ls sorts the names" \
        same 'blob\ncomma\nlines\nlong\nmany\nzero\n' weir ls
    check "ls takes a prefix" same 'lines\nlong\n' weir ls l
    check "ls --json has the offsets" \
        json '[(r["name"], r["start"], r["end"]) for r in rows] ==
              [("lines", 0, 11)]' weir ls --json lines
    check "ls --long has them too" \
        eval 'weir ls -l lines | grep -qE "^ +0 +11 +[0-9]+  lines$"'
    check "a control character in a name does not reach the terminal" eval '
        append "$(printf "a\nb\033")" x && same "a\\\\nb\\\\x1b\n" weir ls a'
    check "stat shows a stream" \
        json 'rows[0]["name"] == "lines" and rows[0]["end"] == 11' \
        weir stat --json lines
    check "stat shows the node" \
        json 'len(rows[0]["cluster"]) == 32 and rows[0]["streams"] == 7' \
        weir stat --json
    check "stat without JSON is lines" eval 'weir stat | grep -q "^streams: "'
    check "counters are shown when asked for" \
        json 'rows[0]["appends"] == 0' weir stat --json --counters
    check "stat of nothing fails" status 1 "none: no such stream" \
        weir stat none
    check "cat of nothing fails" status 1 "none: no such stream" weir cat none

    check "trim is silent" same '' weir trim lines 3
    check "what was trimmed is gone" same 'three\na\n' weir cat lines --to 5
    check "reading below the start names the offset and the start" \
        status 1 "offset 1: trimmed, the stream begins at 3" \
        weir cat lines --from 1
    check "reading beyond the end names the end" \
        status 1 "beyond the end, which is at 11" weir cat lines --from 99
    check "trim beyond the end names the end" \
        status 1 "beyond the end, which is at 11" weir trim lines 99
    check "trim below the start does nothing" eval '
        weir trim lines 1 && same "three\n" weir cat lines --count 1'
    check "trim end leaves nothing" eval '
        weir trim lines end && same "" weir cat lines'
    check "offsets go on after that" same '11\n' append lines z --ack

    check "rm is silent" same '' weir rm long zero
    check "rm of nothing fails, and the rest is removed" \
        status 1 "none: no such stream" weir rm none comma
    check "rm --force forgives that" same '' weir rm -f none
    check "what was removed is gone" same 'blob\nlines\nmany\n' \
        eval 'weir ls | grep -v "^a"'
}

objects() {
    check "flush is silent" same '' weir flush
    check "flush brings everything into objects" \
        json 'rows[0]["uploaded_end"] == rows[0]["end"] == 200000' \
        weir stat --json many
    check "a read-only node reads it from there" \
        eval 'weir -X read_only=true cat many | cmp - "$dir/many"'
    check "a read-only node does not append" \
        status 1 "WEIR_EREADONLY" append many x -X read_only=true
    check "the store can come from the environment, and -X too" \
        eval 'WEIR_STORE=mem: weir -X store="dir:$dir/store" ls | grep -q many'
    check "a reader does not make a store where there is none" eval '
        status 1 "No such file or directory" weir --store "dir:$dir/none" ls &&
        [ ! -e "$dir/none" ]'
    check "an unwritable stdout is an error" \
        status 1 "write to stdout: No space left" \
        eval 'weir cat many >/dev/full'
}

dumps() {
    local object
    weir flush
    append dumped 'first\nsecond\n'
    check "dump wal shows the records, with their offsets" \
        json '[r["base_offset"] for r in rows if r["kind"] == "record"] ==
              [0, 1] and rows[-1]["kind"] == "end"' weir dump wal --json
    check "dump wal --data shows what is in them" eval '
        weir dump wal --data | grep -q "^record .*payload=second"'
    check "dump wal takes a URI and no store" eval '
        WEIR_STORE= weir dump wal "file:$dir/store/.wal" |
        grep -q "^super .*node_id=1"'
    check "dump wal shows an object log that the environment names" eval '
        echo one | WEIR_STORE="dir:$dir/objects" WEIR_WAL=object: \
            weir append s &&
        WEIR_STORE="dir:$dir/objects" WEIR_WAL=object: weir dump wal |
        grep -q "^record .*base_offset=0"'
    check "dump wal without a log to read is wrong usage" \
        status 2 "which log?" env WEIR_STORE= weir dump wal
    check "dump of a WAL that is not there fails" \
        status 1 "WEIR_ENOENT" weir dump wal "file:$dir/none"
    weir flush
    object=$(weir dump manifest --json |
        jq 'select(.kind == "object_add") | .object_id' | tail -n 1)
    object=$(cd "$dir/store" && find data -name "*-$(printf %016x "$object")")
    check "dump object shows its blocks and their codec" \
        json '[r["kind"] for r in rows][:2] == ["footer", "index"] and
              any(r["kind"] == "block" for r in rows)' \
        weir dump object "$object" --json
    check "dump object --check says nothing of a whole one" \
        same '' weir dump object "$object" --check
    check "dump of a store that is not there makes none" eval '
        status 1 "No such file" weir --store dir:$dir/none dump manifest &&
        status 1 "No such file" weir --store dir:$dir/none dump object x &&
        [ ! -e "$dir/none" ]'
    check "dump of an object that is not there fails" \
        status 1 "WEIR_ENOENT" weir dump object data/00/none
    check "dump manifest shows the commits and their operations" \
        json 'any(r["kind"] == "stream_create" and r["name"] == "dumped"
                  for r in rows)' weir dump manifest --json

    damage "$object"
}

# One bit of an object is flipped.
damage() {
    local object=$1 name
    rm -rf "$dir/damaged"
    cp -r "$dir/store" "$dir/damaged"
    python3 - "$dir/damaged/$object" <<'PYTHON'
import sys
with open(sys.argv[1], "r+b") as file:
    file.seek(20)
    byte = file.read(1)[0]
    file.seek(20)
    file.write(bytes([byte ^ 1]))
PYTHON
    check "dump object tells that something is damaged" \
        status 1 "WEIR_ECORRUPT" \
        env WEIR_STORE="dir:$dir/damaged" weir dump object "$object"
    check "and shows where" grep -q "^block .*status=WEIR_ECORRUPT" "$dir/out"
    name=dumped
    check "cat of damaged records prints none, and names the offset" \
        status 1 "cat $name: offset 0: " \
        env WEIR_STORE="dir:$dir/damaged" weir cat "$name"
    check "and what it is" grep -q WEIR_ECORRUPT "$dir/err"
    check "not a byte of them" [ ! -s "$dir/out" ]
}

# A second node of the same store: its own WAL by default, and the stream goes
# to who opened it last.
probes() {
    check "probe tells what a store can do, and that it is enough" \
        json 'rows[0]["backend"] == "dir" and rows[-1]["usable"] == 1 and
              {r["name"] for r in rows if r["kind"] == "check"} >=
              {"create", "conditional_create", "create_race", "list"} and
              all(r["result"] == "yes" for r in rows if "result" in r)' \
        weir probe --json
    check "probe takes a URI and needs no WAL" eval '
        WEIR_STORE= WEIR_WAL= weir probe mem: | grep -q "^usable  *yes"'
    check "probe of a folder that is not there does not make it" \
        status 1 "No such file" weir probe "dir:$dir/none/x"
    check "probe of a store that cannot be reached fails, and tells why" \
        status 1 "cannot connect" weir -X s3_retry_delay=1ms \
        -X s3_access_key=K -X s3_secret_key=S \
        probe "s3://bucket/p?endpoint=http://127.0.0.1:1"
}

# Whatever the program prints, at whatever level: no secret is in it.
secrets() {
    local secret=canary/secret+that/nobody+sees token=canary-token-that-nobody-sees
    local store="s3://bucket/p?endpoint=http://127.0.0.1:1"
    local -a quick=(-vv -X s3_retry_delay=1ms -X s3_attempts=2 -X s3_timeout=2s)
    {
        AWS_ACCESS_KEY_ID=K AWS_SECRET_ACCESS_KEY=$secret \
            AWS_SESSION_TOKEN=$token weir "${quick[@]}" probe "$store"
        weir "${quick[@]}" -X s3_access_key=K -X "s3_secret_key=$secret" \
            -X "s3_session_token=$token" --store "$store" \
            --wal "file:$dir/canary-wal?size=64MiB" append s </dev/null
        weir "${quick[@]}" -X s3_access_key= -X "s3_secret_key=$secret" \
            -X s3_credentials=config --store "$store" ls
        weir -X "s3_secret_key=$secret" -X s3_timeout=never properties
        weir -X "s3_secret_key=$secret" --json properties
        weir -X "s3_secret_key=$secret" dump wal "file:$dir/canary-wal"
        weir -X "s3_secret_key=$secret" nonsense
        weir probe "s3://K:$secret@bucket/p"
        weir --manifest "etcd://root:$secret@127.0.0.1:1" --store mem: ls
        # Where no secret belongs: only the name of the parameter is shown.
        for store in "s3://bucket?region=r&secret=$secret" \
            "s3://bucket?region=r&secret=%zz$secret" "s3://bucket&token=$secret" \
            "dir:$dir/none?password=$secret" "dir:$dir?password=$secret" \
            "gs://bucket?secret_key=$secret" "mem:?session_token=$secret" \
            "bucket?secret=$secret"; do
            weir -vv --store "$store" --wal mem: ls
            weir --sotre="$store" ls
            weir ls "$store" "$store"
            weir "$store"
            weir probe "$store"
            weir --store "$store" --wal mem: flush
            weir --store "$store" dump manifest
            weir --store "dir:$dir/store" --wal "$store" flush
            weir dump wal "$store"
            weir --store "dir:$dir/store" --manifest "$store" dump manifest
            weir --store "dir:$dir/store" --manifest "$store" --wal mem: flush
        done
    } >"$dir/all" 2>&1
    check "messages came" grep -q "cannot connect" "$dir/all"
    check "no secret is in them" eval '! grep -qi "canary/\|canary-token" "$dir/all"'
    check "no secret is in a log" eval '! grep -qa "canary/secret" "$dir/canary-wal"'
}

nodes() {
    append shared 'by 1\n'
    weir flush
    check "another node has a WAL of its own" same '1\n' \
        append shared 'by 2\n' --ack -X node_id=2
    check "its name has the number of the node" [ -e "$dir/store/.wal-2" ]
    weir flush -X node_id=2
    check "and who comes back goes on behind it" same '2\n' \
        append shared 'by 1 again\n' --ack
    check "a reader sees all of it" \
        same 'by 1\nby 2\nby 1 again\n' weir cat shared
}

processes() {
    local pid status
    mkfifo "$dir/feed"
    weir append busy --ack <"$dir/feed" >"$dir/acks" 2>"$dir/err2" &
    pid=$!
    exec 5>"$dir/feed"
    echo one >&5
    check "an acknowledgement comes before the end of the input" \
        wait_lines "$dir/acks" 1
    check "a node in use says so, and what can be done" \
        status 1 "read_only=true" weir ls
    check "the same for a writer" status 1 "WEIR_EBUSY" append busy x
    check "a read-only node sees what is in objects meanwhile" \
        eval 'weir -X read_only=true ls | grep -q many'
    echo two >&5
    check "the node that has it is not disturbed" wait_lines "$dir/acks" 2
    exec 5>&-
    wait "$pid"
    check "and ends well" [ $? = 0 ]

    weir cat busy --follow >"$dir/followed" 2>"$dir/err2" &
    pid=$!
    check "follow prints what there is" wait_lines "$dir/followed" 2
    kill -INT "$pid"
    wait "$pid"
    status=$?
    check "an interrupted follow exits with 130" [ "$status" = 130 ]
    check "and says nothing" [ ! -s "$dir/err2" ]

    weir cat many 2>"$dir/err2" | head -n 1 >/dev/null
    status=${PIPESTATUS[0]}
    check "a closed pipe ends it as SIGPIPE does" [ "$status" = 141 ]
    check "and nothing is said about it" [ ! -s "$dir/err2" ]
}

# What was acknowledged before a kill -9 is there, in order, and nothing that
# was not sent; again and again on the same stream.
kills() {
    local round
    : >"$dir/acks"
    : >"$dir/sent"
    for round in 1 2 3 4 5; do
        weir append killed --ack >>"$dir/acks" \
            < <(seq -f "$round-%.0f" 1 100000000) &
        wait_lines "$dir/acks" $((round * 2000)) >"$dir/log"
        kill -9 $! 2>/dev/null
        wait $! 2>/dev/null
    done
    # A last line may be cut in the middle.
    [ -z "$(tail -c 1 "$dir/acks")" ] || sed -i '$d' "$dir/acks"
    check "append goes on until it is killed" [ "$(wc -l <"$dir/acks")" -ge 2000 ]
    check "what is there after a kill -9 can be read" \
        json 'rows and True' weir cat killed --json
    mv "$dir/out" "$dir/all"
    check "all that was acknowledged is there, in order, once" \
        python3 - "$dir/acks" "$dir/all" <<'PYTHON'
import json, sys
acked = [int(line) for line in open(sys.argv[1])]
rows = [json.loads(line) for line in open(sys.argv[2])]
assert [r["offset"] for r in rows] == list(range(len(rows))), "a gap"
assert acked == sorted(set(acked)), "acknowledged out of order or twice"
assert acked[-1] < len(rows), f"{acked[-1]} acknowledged, {len(rows)} there"
want = None
for row in rows:  # Each round: 1, 2, 3, ... without a hole.
    round_, n = map(int, row["data"].split("-"))
    if want is None or round_ != want[0]:
        assert want is None or round_ > want[0], row
        want = (round_, 1)
    assert (round_, n) == want, (row, want)
    want = (round_, n + 1)
PYTHON
}

benchmarks() {
    check "bench append counts what was asked for" \
        json 'rows[0]["records"] == 500 and rows[0]["p99_us"] >=
              rows[0]["p50_us"] > 0' \
        weir bench append --count 500 --callers 8 --depth 2 --json
    check "bench append with one caller" json 'rows[0]["records"] == 20' \
        weir bench append --count 20 --callers 1 --json
    check "bench append with threads" json 'rows[0]["records"] == 100' \
        weir bench append --count 100 --callers 4 --threads --json
    check "bench append with threads and a driver thread" \
        json 'rows[0]["records"] == 100' weir -X driver=true \
        bench append --count 100 --callers 4 --threads --json
    check "bench fetch reads what it wrote, once for each caller" \
        json 'rows[0]["records"] == 4 * 512' weir bench fetch --bytes 1MiB \
        --size 2KiB --callers 4 --json
    check "benchmarks leave no stream" \
        eval '! weir ls | grep -q weir-bench'
}

# What closed descriptors and a record that is too long do: nothing hangs.
ends() {
    check "a record longer than max_batch ends an append" \
        status 1 "record 1 is longer than max_batch" \
        timeout 60 bash -c 'head -c 17000000 /dev/zero | weir append long'
    check "a record longer than max_batch comes after what is before it" \
        status 1 "record 3 is longer than max_batch" timeout 60 bash -c \
        '(printf "a\nb\n"; head -c 17000000 /dev/zero) | weir append long'
    check "what was before it is there" same 'a\nb\n' weir cat long
    check "a closed stdin is an error" status 1 "Bad file descriptor" \
        timeout 60 bash -c 'weir append long <&-'
    check "a closed stdout is an error" status 1 "Bad file descriptor" \
        timeout 60 bash -c 'weir cat long >&-'
    check "a closed stderr harms nothing" \
        timeout 60 bash -c 'echo c | weir append long 2>&-'
    check "all of it is there" same 'a\nb\nc\n' weir cat long
    check "and goes again" weir rm long
}

# ---- Several nodes -----------------------------------------------------------

cluster() {
    local WEIR_STORE=dir:$dir/cluster
    export WEIR_STORE
    check "a node appends" timeout 60 bash -c 'seq 1 50 | weir append moved'
    check "another node does not get its stream" status 1 "another node" \
        timeout 60 bash -c 'echo x | weir -X node_id=2 append moved'
    check "the first has ended in order" json \
        'rows[0]["node_id"] == 1 and rows[0]["life"] == "closed"' \
        weir -X node_id=2 --json nodes
    check "it is taken over" weir -X node_id=2 takeover 1
    check "its log is clean then" json \
        'rows[0]["wal_clean"] and rows[0]["streams"] == 0' \
        weir -X node_id=2 --json nodes
    check "the stream goes on" timeout 60 bash -c \
        'echo 51 | weir -X node_id=2 append moved'
    check "and has all of it" same "$(seq 1 51 | sed 's/$/\\n/' | tr -d '\n')" \
        weir -X node_id=2 cat moved
    check "a node that is not there is no dead one" status 1 "no node 9" \
        weir -X node_id=2 takeover 9
    check "a node that is no number is refused" status 2 "expected a number" \
        weir -X node_id=2 takeover first
}

# A device that is blank where a log must be may be the wrong one.
devices() {
    local -a there=(--store "dir:$dir/device-store")
    check "a record is in a log only" append s 'kept\n' "${there[@]}"
    truncate -s 8M "$dir/blank"
    loop=$(losetup --show -f "$dir/blank" 2>/dev/null) || {
        echo "left out: a device for a log needs root and loop devices"
        return
    }
    check "a blank device is no log that has gone" \
        status 1 "there is no write-ahead log" weir "${there[@]}" --wal "file:$loop" flush
    check "and stays blank" cmp -n $((8 << 20)) "$loop" /dev/zero
    weir "${there[@]}" flush
    check "until the log is not needed any more" \
        append s 'next\n' "${there[@]}" --wal "file:$loop"
    check "and then it has one" eval 'weir dump wal "file:$loop" | grep -q "^record"'
    losetup -d "$loop"
    loop=
}

export WEIR_STORE=
usage
export WEIR_STORE=dir:$dir/store
records
streams
objects
dumps
probes
secrets
nodes
processes
kills
benchmarks
ends
cluster
devices

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
