# SPDX-License-Identifier: Apache-2.0
# Completion of weir and weir-kafka for bash: from what --help says, so that it
# knows what the program knows.

_weir_options() { # COMMAND...
    "$@" --help 2>/dev/null |
        sed -n 's/^  *\(-[A-Za-z0-9],\{0,1\} *\)\{0,1\}\(--[a-z-]*\).*/\2/p'
}

_weir() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local commands word command=
    commands=$(weir --help 2>/dev/null |
        sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p' | sort -u)
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if grep -qx -- "$word" <<<"$commands"; then
            command=$word
        fi
    done
    case $prev in
    -X | --property)
        mapfile -t COMPREPLY < <(compgen -S = -W \
            "$(weir properties 2>/dev/null | sed -n 's/^key: *//p')" -- "$cur")
        compopt -o nospace
        return
        ;;
    dump) mapfile -t COMPREPLY < <(compgen -W 'wal object manifest' -- "$cur") && return ;;
    bench) mapfile -t COMPREPLY < <(compgen -W 'append fetch' -- "$cur") && return ;;
    esac
    if [[ $cur == -* ]]; then
        # shellcheck disable=SC2086 # No command is no word.
        mapfile -t COMPREPLY < <(compgen -W \
            "$(_weir_options weir) $(_weir_options weir $command)" -- "$cur")
    elif [ -z "$command" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(weir ls 2>/dev/null)" -- "$cur")
    fi
}

_weir_kafka() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    if [ "$prev" = -X ]; then
        mapfile -t COMPREPLY < <(compgen -W "$(weir-kafka --help 2>/dev/null |
            sed -n 's/^  \([a-z][a-z_.0-9]*=\).*/\1/p')" -- "$cur")
        compopt -o nospace
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_weir_options weir-kafka)" -- "$cur")
    fi
}

complete -o default -F _weir weir
complete -o default -F _weir_kafka weir-kafka
