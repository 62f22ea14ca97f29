#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The program weir-sim, from outside: what it refuses and in which words, that
# no run hangs whatever happens in it, and what it tells of one that fails.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -x build/weir-sim ] || {
    echo "skipped: build/weir-sim is not built"
    echo "0 passed, 0 failed"
    exit 0
}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0

fail() { # WHY
    echo "FAIL: weir-sim ${args[*]}: $1"
    sed 's/^/    /' "$dir/out" "$dir/err"
    failed=$((failed + 1))
}

# try STATUS PATTERN ARGUMENTS...: it ends with that status, and a line of its
# output matches.  The limit is for one that hangs.
try() {
    local status=$1 pattern=$2 got
    shift 2
    args=("$@")
    timeout 300 build/weir-sim "$@" >"$dir/out" 2>"$dir/err" </dev/null
    got=$?
    if [ "$got" != "$status" ]; then
        fail "status $got, expected $status"
    elif ! cat "$dir/out" "$dir/err" | grep -qE -- "$pattern"; then
        fail "nothing says \"$pattern\""
    else
        passed=$((passed + 1))
    fi
}

has() { # PATTERN: what was printed last has such a line.
    if grep -qE -- "$1" "$dir/out"; then
        passed=$((passed + 1))
    else
        fail "nothing says \"$1\""
    fi
}

# ---- Wrong use: what is wrong is named ---------------------------------------

try 2 'expected one of --seeds A..B'
try 2 'expected one of --seeds A..B' --minutes 5
try 2 '--seeds 9\.\.1: the last seed is below the first' --seeds 9..1
for bad in 5 5..x x..5 ..5 5.6 -1..5 1..99999999999999999999 \
    99999999999999999999..; do
    try 2 "--seeds $bad: expected A..B" --seeds "$bad"
done
try 2 '--seeds 1\.\.: without a last seed it needs --minutes' --seeds 1..
try 2 '--seed x: expected a number from 0' --seed x
try 2 '--seed 99999999999999999999: expected' --seed 99999999999999999999
try 2 '--minutes 0: expected a number from 1' --seeds 1..2 --minutes 0
try 2 '--minutes: only with --seeds' --load "$dir/none" --minutes 1
try 2 '--steps 0: expected a number from 1' --seed 1 --steps 0
try 2 '--steps -4: expected a number from 1' --seed 1 --steps -4
try 2 '--kind town: expected core, cluster or both' --seed 1 --kind town
try 2 '--without rain: expected a list of these: store_down,' \
    --seed 1 --without rain
try 2 '--without crash,rain: expected' --seed 1 --without crash,rain
try 2 '--without : expected' --seed 1 --without ''
try 2 '--plant oak: expected breach' --seed 1 --plant oak
try 2 '--limit 0: expected' --seed 1 --limit 0
try 2 '--bogus: unknown option' --bogus
try 2 '--seed: expected a value behind it' --seed
try 0 'Usage: weir-sim' --help

# ---- Files of runs -----------------------------------------------------------

version=$(sed -n 's/^#define SEEDS_VERSION //p' tests/sim/seeds.h)
file=$dir/runs

# of FIRST-LINE OTHERS...: the file.
of() { printf '%s\n' "$@" >"$file"; }

try 2 "$file: No such file or directory" --load "$file"
try 2 "$dir: Is a directory" --load "$dir"
: >"$file"
try 2 'it is empty' --load "$file"
of "weir-sim $version"
try 2 'it names no run' --load "$file"
of 'something else' 'core 1 5 -'
try 2 'line 1: this is no file of weir-sim --save' --load "$file"
of "weir-sim $((version - 1))" 'core 1 5 -'
try 2 "line 1: \"weir-sim $((version - 1))\": this program has version" \
    --load "$file"
try 2 'or begin another file' --seed 1 --save "$file"
for bad in '' 'town 1 5 -' 'core x 5 -' 'core 1' 'core 1 5' 'core 1 -5 -' \
    'core 1 5 rain' 'core 1 5 - more' 'core 99999999999999999999 5 -' \
    "core 1 5 $(printf '%0700d' 0)"; do
    of "weir-sim $version" 'core 1 5 -' "$bad"
    try 2 'line 3: ' --load "$file"
    # Nothing of a damaged file is run.
    [ ! -s "$dir/out" ] || fail 'it runs a part of a damaged file'
done
printf 'weir-sim %s\ncore 1 5 -\ncluster 2 5' "$version" >"$file"
try 2 'line 3: it is cut short' --load "$file"
try 2 'leave --kind, --steps and --without out' --load "$file" --steps 3
of "weir-sim $version" 'core 1 5 -' 'cluster 2 5 crash,store_down'
try 0 '^2 runs, 0 failed' --load "$file"
try 2 "$dir: Is a directory" --seed 1 --save "$dir"
try 2 'No such file or directory' --seed 1 --save "$dir/none/runs"

# ---- Whatever happens in a run, it ends --------------------------------------

for kind in core cluster; do
    try 1 '100000 steps were made without a pause.*the last was node' \
        --seed 3 --kind "$kind" --plant busy
    has 'the shortest that fails too .*, all .* fewer steps\) has 12 steps'
done
try 1 '20000000 steps were made in all' --seed 3 --kind core --plant slow \
    --no-shrink
try 1 'the limit of 86400 s of virtual time is reached' \
    --seed 3 --kind core --plant wait
try 1 'FAILED after 2 s of real time: it hangs' \
    --seed 3 --kind core --plant endless --limit 2
has 'run it again, under a debugger: build/weir-sim --kind core --seed 3 '
for kind in core cluster; do
    try 139 "^seed 3 \\($kind\\) FAILED: the program died in it" \
        --seeds 3..5 --kind "$kind" --plant crash --quiet
    has "again, under a debugger: build/weir-sim --kind $kind --seed 3 --plant"
done

# Who has seen enough gets the sum.  Of a run that has ended there is a line;
# SIGINT would be ignored behind a "&".
args=(--seeds 1..1000000)
mkfifo "$dir/lines"
build/weir-sim "${args[@]}" >"$dir/lines" 2>"$dir/err" &
sim=$!
exec 3<"$dir/lines"
read -r line <&3
kill -TERM "$sim"
{ echo "$line"; cat <&3; } >"$dir/out"
wait "$sim"
[ $? = 143 ] || fail 'SIGTERM: another status than 143'
has '^[0-9]+ runs, 0 failed: '

# ---- What is told of a run that fails ----------------------------------------

rm -f "$file"
for kind in core cluster; do
    try 1 "seed 4 \\($kind\\) FAILED after 12 steps: a breach that was" \
        --seed 4 --kind "$kind" --plant breach --save "$file"
    has 'has 12 steps.*: a breach that was planted$'
    has '^    [0-9]+ BREACH: a breach that was planted$'
    again=$(sed -n 's/^  run it again: //p' "$dir/out")
    args=("$again")
    # shellcheck disable=SC2086 # A command is words.
    timeout 300 $again >"$dir/out" 2>"$dir/err"
    has '^[0-9]+ BREACH: a breach that was planted$'
    has "seed 4 \\($kind\\) FAILED after 12 steps: a breach that was planted"
done
try 1 '^2 runs, 2 failed' --load "$file" --plant breach --no-shrink
try 0 '^2 runs, 0 failed' --load "$file"

# ---- The same seeds give the same trace, byte for byte, in another process ---

args=(--seeds 1..20 --trace)
: >"$dir/out"
: >"$dir/err"
if cmp <(build/weir-sim "${args[@]}") <(build/weir-sim "${args[@]}") \
    >"$dir/out" 2>&1; then
    passed=$((passed + 1))
else
    fail 'a second run gives another trace'
fi
try 0 '^40 runs, 0 failed' --seeds 1..20 --quiet

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
