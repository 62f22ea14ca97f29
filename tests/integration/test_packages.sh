#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Debian packages build, lintian has nothing to say, and a program builds
# from what is in them, with pkg-config and with CMake; the interface of the
# shared library is the one that is kept.
set -u
cd "$(dirname "$0")/../.." || exit 2
for tool in dpkg-buildpackage dh lintian abidiff cmake; do
    command -v "$tool" >/dev/null && continue
    echo "skipped: no $tool (make deps GROUPS=package)"
    exit 0
done
. tests/integration/facts.sh

root=$dir/root
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
lib=$root/usr/lib/$multiarch
unpack() {
    local package
    for package in build/deb/*.deb; do dpkg-deb -x "$package" "$root" || return; done
}
# No one uploads these to Debian, and the project has no mail address.
silent_lintian() {
    lintian --fail-on error,warning --suppress-tags \
        initial-upload-closes-no-bugs,bogus-mail-host,bogus-mail-host-in-debian-changelog \
        build/deb/*.changes
}
with_pkg_config() {
    # shellcheck disable=SC2046 # A list of flags.
    PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
        gcc -o "$dir/hello" "$dir/hello.c" \
        $(PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root \
            pkg-config --cflags --libs weir) &&
        (cd "$dir" && LD_LIBRARY_PATH=$lib ./hello | grep -q hello)
}
with_cmake() { # TARGET
    local here=$dir/cmake-$1
    mkdir "$here" && cp "$dir/hello.c" "$here/" &&
        sed "s|\"/usr|\"$root/usr|" "$lib/cmake/weir/weirConfig.cmake" \
            >"$here/weirConfig.cmake" &&
        cp "$lib/cmake/weir/weirConfigVersion.cmake" "$here/" &&
        printf '%s\n' 'cmake_minimum_required(VERSION 3.20)' 'project(hello C)' \
            'find_package(weir 0.1 REQUIRED)' 'add_executable(hello hello.c)' \
            "target_link_libraries(hello weir::$1)" >"$here/CMakeLists.txt" &&
        cmake -S "$here" -B "$here/build" -Dweir_DIR="$here" &&
        cmake --build "$here/build" &&
        (cd "$here" && LD_LIBRARY_PATH=$lib ./build/hello | grep -q hello)
}

export PATH=$PWD/build:$PATH
tests/lint/readme -o "$dir/hello.c"
fact 'make deb succeeds' make --no-print-directory deb
fact 'lintian has no errors and no warnings' silent_lintian
fact 'the packages can be unpacked' unpack
fact 'a program builds from them with pkg-config' with_pkg_config
fact 'and with CMake, shared' with_cmake weir
fact 'and with CMake, static' with_cmake static
fact 'the programs run' "$root/usr/bin/weir" --version
fact 'the interface is the one that is kept' make --no-print-directory abi

facts_end
