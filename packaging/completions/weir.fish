# SPDX-License-Identifier: Apache-2.0
# Completion for fish: from what --help says.
function __weir_commands
    weir --help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\).*/\1/p' | sort -u
end
function __weir_options
    $argv --help 2>/dev/null | sed -n 's/^  *\(-[A-Za-z0-9],\{0,1\} *\)\{0,1\}--\([a-z-]*\).*/\2/p'
end
complete -c weir -n "not __fish_seen_subcommand_from (__weir_commands)" -f -a "(__weir_commands)"
complete -c weir -n "__fish_seen_subcommand_from (__weir_commands)" -f -a "(weir ls 2>/dev/null)"
for option in (__weir_options weir)
    complete -c weir -l $option
end
for option in (__weir_options weir-kafka)
    complete -c weir-kafka -l $option
end
