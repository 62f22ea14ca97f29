#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python package: its tests in both modes, its types, its wheel, and the
# program of its page in docs/.
set -u
cd "$(dirname "$0")/../.." || exit 2
python=${PYTHON:-/usr/bin/python3}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
passed=0 failed=0
export PYTHONDONTWRITEBYTECODE=1
fact() { # TEXT COMMAND...
    local text=$1
    shift
    if "$@" >"$dir/out" 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not so: $text"
        tail -40 "$dir/out"
    fi
}

tests() { # FILE...
    PYTHONPATH=bindings/python timeout 120 "$python" -m pytest -q \
        -p no:cacheprovider "$@"
}
abi() {
    WEIR_PYTHON_MODE=abi PYTHONPATH=bindings/python timeout 120 "$python" -m \
        pytest -q -p no:cacheprovider -p no:weir \
        bindings/python/tests/test_weir.py bindings/python/tests/test_aio.py
}
types() {
    (cd bindings/python && "$python" -m mypy --cache-dir "$dir/mypy" weir)
}
wheel() {
    cp -r bindings/python "$dir/source" &&
        WEIR_ROOT=$PWD "$python" -m build --no-isolation --wheel \
            --outdir "$dir/wheels" "$dir/source" &&
        "$python" -m zipfile -l "$dir"/wheels/weir-*.whl |
        grep -q 'weir/_weir' &&
        "$python" -m zipfile -e "$dir"/wheels/weir-*.whl "$dir/installed" &&
        (cd "$dir" && PYTHONPATH=$dir/installed "$python" -c \
            'import weir; assert weir.API; weir.open(store="mem:").close()')
}
page() { # Each block of the page runs, in a folder of its own.
    "$python" - docs/python.md "$dir/blocks" <<'EOF'
import pathlib, re, sys
out = pathlib.Path(sys.argv[2])
out.mkdir()
text = pathlib.Path(sys.argv[1]).read_text()
for i, code in enumerate(re.findall(r"```python\n(.*?)```", text, re.S)):
    (out / f"test_block_{i}.py").write_text(code)
EOF
    local root=$PWD block
    for block in "$dir"/blocks/*.py; do
        (cd "$dir/blocks" && if grep -q '^def test_' "$block"; then
            PYTHONPATH=$root/bindings/python timeout 60 "$python" -m pytest -q \
                -p no:cacheprovider -p weir.pytest_plugin "$block"
        else
            PYTHONPATH=$root/bindings/python timeout 60 "$python" "$block"
        fi) || return 1
    done
}

fact 'the package builds in place' make python
fact 'the blocking form, the asynchronous one and the world' \
    tests bindings/python/tests
fact 'without the compiled module too' abi
fact 'the types are right' types
fact 'a wheel is built, and works' wheel
fact 'what its page shows runs' page

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
