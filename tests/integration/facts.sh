# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of this folder share: a folder of their own, which goes when
# they end, and facts that are counted.
passed=0 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fact() { # TEXT COMMAND...
    local text=$1
    shift
    if "$@" >"$dir/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not so: $text"
        cat "$dir/out"
    fi
}

# The sum; what the script ends with.
facts_end() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
}
