#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A clean install in a temporary prefix: the README's program builds from it
# with pkg-config, shared and static, and runs; uninstall leaves nothing.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/integration/facts.sh

prefix=$dir/prefix
mkdir "$prefix"
export PKG_CONFIG_PATH=$prefix/lib/pkgconfig
run_make() { make --no-print-directory PREFIX="$prefix" "$@"; }
build() { # OUTPUT LINK-FLAG PKG-CONFIG-FLAG
    # shellcheck disable=SC2046,SC2086 # Lists of flags.
    gcc -std=c11 -Wall -Wextra -Werror -o "$1" "$dir/hello.c" \
        $(pkg-config $3 --cflags --libs weir) $2
}
build_shared() { build "$1" "-Wl,-rpath,$prefix/lib" ''; }
# The other libraries stay shared ones: not all of them have a static form.
build_static() {
    rm -f "$prefix"/lib/libweir.so* && build "$1" '' --static
}
says_hello() ( # PROGRAM DATA-FOLDER
    mkdir "$dir/$2" && cd "$dir/$2" && "$1" | grep -qx 'offset 0: hello' &&
        "$1" | grep -qx 'offset 1: hello'
)
is_shared() { ldd "$1" | grep -q "$prefix/lib/libweir.so.0"; }
is_not_shared() { ! ldd "$1" | grep -q libweir; }
runs() { "$1" --version; }
has_manual() { [ -s "$prefix/share/man/man3/weir_append.3" ]; }
nothing_left() { [ -z "$(find "$prefix" ! -type d)" ]; }
staged() {
    make --no-print-directory PREFIX=/usr DESTDIR="$dir/stage" install &&
        [ -f "$dir/stage/usr/include/weir.h" ] &&
        grep -qx 'prefix=/usr' "$dir/stage/usr/lib/pkgconfig/weir.pc" &&
        make --no-print-directory PREFIX=/usr DESTDIR="$dir/stage" uninstall &&
        [ -z "$(find "$dir/stage" ! -type d)" ]
}

tests/lint/readme -o "$dir/hello.c"
fact 'make install succeeds' run_make install
fact 'pkg-config tells the version' pkg-config --exact-version=0.1.0 weir
fact 'the program of the README builds, shared' build_shared "$dir/shared"
fact 'it loads the installed library' is_shared "$dir/shared"
fact 'it runs, twice on the same data' says_hello "$dir/shared" shared-data
fact 'the functions have man pages' has_manual
fact 'the program of the README builds, static' build_static "$dir/static"
fact 'it does not load the library' is_not_shared "$dir/static"
fact 'it runs, twice on the same data' says_hello "$dir/static" static-data
for program in weir weir-kafka; do
    [ -x "build/$program" ] || continue
    fact "$program runs where it was installed" runs "$prefix/bin/$program"
done
fact 'make uninstall succeeds' run_make uninstall
fact 'uninstall leaves nothing' nothing_left
fact 'DESTDIR stages an install for another prefix' staged

facts_end
