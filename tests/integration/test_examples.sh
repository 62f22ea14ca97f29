#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The samples of examples/ do what they say.
#
#     BUILD=build tests/integration/test_examples.sh
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$(realpath "${BUILD:-build}")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
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

bank() {
    "$build/examples/sim_bank" "$@"
}

# found BUG: the simulation finds it, and the seed it names shows it again,
# in the same way and with the same trace.
found() {
    local seed
    bank "$1" >"$dir/first"
    [ $? = 1 ] || return 1
    cat "$dir/first"
    seed=$(sed -n 's/^seed \([0-9]*\): .*/\1/p' "$dir/first")
    bank "$1" "$seed" >"$dir/a"
    bank "$1" "$seed" >"$dir/b"
    cmp "$dir/a" "$dir/b" && tail -n 2 "$dir/a" | cmp - "$dir/first"
}

refuses_nonsense() {
    bank nonsense
    [ $? = 2 ]
}

check 'a bank without a bug passes all seeds' bank
check 'a bank that answers too early is found' found early
check 'a bank that takes unknown for failed is found' found retry
check 'a bug that does not exist is refused' refuses_nonsense

echo "$passed passed, $failed failed"
[ $failed = 0 ]
