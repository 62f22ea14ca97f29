# SPDX-License-Identifier: Apache-2.0
# Completion for fish: from what --help says.
function __weir_verbs
    weir --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p' | sort -u
end

# The command that stands before the cursor, if one does.
function __weir_verb
    set -l verbs (__weir_verbs)
    for word in (commandline -opc)[2..]
        contains -- $word $verbs; and echo $word; and return
    end
    return 1
end

function __weir_options # PROGRAM [COMMAND]
    $argv --help 2>/dev/null |
        sed -n 's/^  *\(-[A-Za-z0-9],\{0,1\} *\)\{0,1\}\(--[a-z-]*\).*/\2/p'
end

# What may stand behind a command: what it shows, or a stream.
function __weir_arguments
    switch (commandline -opc)[-1]
        case dump
            printf '%s\n' wal object manifest
        case bench
            printf '%s\n' append fetch
        case '*'
            weir ls 2>/dev/null
    end
end

function __weir_wants_option
    string match -q -- '-*' (commandline -ct)
end

function __weir_wants_property
    contains -- (commandline -opc)[-1] -X --property
end

function __weir_properties
    weir properties 2>/dev/null | sed -n 's/^key: *\(.*\)/\1=/p'
end

function __weir_kafka_properties
    weir-kafka --help 2>/dev/null | sed -n 's/^  \([a-z][a-z_.0-9]*=\).*/\1/p'
end

complete -c weir -f -n __weir_wants_property -a "(__weir_properties)"
complete -c weir -f -n "not __weir_wants_property; and not __weir_verb >/dev/null" -a "(__weir_verbs)"
complete -c weir -f -n "not __weir_wants_property; and __weir_verb >/dev/null" -a "(__weir_arguments)"
complete -c weir -n __weir_wants_option -a "(__weir_options weir; __weir_options weir (__weir_verb))"
complete -c weir-kafka -f -n __weir_wants_property -a "(__weir_kafka_properties)"
complete -c weir-kafka -n __weir_wants_option -a "(__weir_options weir-kafka)"
