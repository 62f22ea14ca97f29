#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Completions of bash, zsh and fish know what the programs know.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/integration/facts.sh

# Each prints what a shell offers for the last of the words.
of_bash() { # WORDS...
    bash -c 'source packaging/completions/weir.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        compopt() { :; }
        case $1 in weir) _weir ;; *) _weir_kafka ;; esac
        printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
}
of_zsh() { # WORDS...
    # shellcheck disable=SC2016 # They are for zsh.
    zsh -f -c 'compadd() {
            local word suffix=
            while [[ $1 == -[qS]* ]]; do
                [[ $1 == -S ]] && suffix=$2 && shift
                shift
            done
            for word in "${@[2,-1]}"; do
                [[ $word == $PREFIX* ]] && print -r -- "$word$suffix"
            done
        }
        words=("$@") CURRENT=$# PREFIX=${@[-1]}
        source packaging/completions/_weir' zsh "$@"
}
of_fish() { # WORDS...
    # shellcheck disable=SC2016 # They are for fish.
    fish --no-config -c 'source packaging/completions/weir.fish
        complete -C (string join " " -- $argv)' -- "$@" | cut -f 1
}
offers() { # SHELL WORDS... EXPECTED
    "of_$1" "${@:2:$#-2}" >"$dir/offered"
    grep -qx -- "${@: -1}" "$dir/offered" && return
    echo "offered:" && head -n 40 "$dir/offered"
    return 1
}

export PATH=$PWD/build:$PATH WEIR_STORE=dir:$dir/store
fact 'a stream is there' weir append --ack orders <<<'one'
for shell in bash zsh fish; do
    command -v "$shell" >/dev/null || {
        echo "skipped: no $shell (make deps GROUPS=package)"
        continue
    }
    fact "$shell completes commands" offers "$shell" weir app append
    fact "$shell completes what a command shows" \
        offers "$shell" weir dump man manifest
    fact "$shell completes options of all commands" \
        offers "$shell" weir append --sto --store
    fact "$shell completes options of one command" \
        offers "$shell" weir append --who --whole
    fact "$shell completes properties" offers "$shell" weir -X lease lease=
    fact "$shell completes streams" offers "$shell" weir cat ord orders
    fact "$shell completes the options of the server" \
        offers "$shell" weir-kafka --adv --advertise
    fact "$shell completes its properties" \
        offers "$shell" weir-kafka -X num.part num.partitions=
done

facts_end
