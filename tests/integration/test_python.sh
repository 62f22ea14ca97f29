#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python package: its tests in both modes, its types, its wheel, and the
# program of its page in docs/.
set -u
cd "$(dirname "$0")/../.." || exit 2
python=${PYTHON:-/usr/bin/python3}
. tests/integration/facts.sh
export PYTHONDONTWRITEBYTECODE=1

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
        WEIR_ROOT=$PWD "$python" -m build --no-isolation \
            --outdir "$dir/wheels" "$dir/source" &&
        "$python" -m zipfile -l "$dir"/wheels/weir-*.whl |
        grep -q 'weir/_weir'
}
# In an environment of its own, with no more than cffi, and far from here.
installed() {
    "$python" -m venv --system-site-packages "$dir/venv" &&
        "$dir/venv/bin/pip" install --quiet --no-index --no-deps \
            "$dir"/wheels/weir-*.whl && (cd "$dir" && "$dir/venv/bin/python" - <<'EOF'
import weir, weir.aio, weir.sim
assert weir.API and "venv" in weir.__file__, weir.__file__
with weir.open(store="dir:data", wal="file:wal?size=64MiB") as node:
    s = node.stream("orders", create=True)
    off = s.append(b"...", count=1)
    for b in s.fetch(off, max_bytes=1 << 20):
        assert (b.base_offset, b.count, bytes(b.data)) == (0, 1, b"...")
    assert next(iter(s.follow(off))).base_offset == 0
EOF
    )
}
from_source() { # The source package builds the same wheel.
    mkdir "$dir/unpacked" &&
        tar -xf "$dir"/wheels/weir-*.tar.gz -C "$dir/unpacked" &&
        WEIR_ROOT=$PWD "$python" -m build --no-isolation --wheel \
            --outdir "$dir/again" "$dir"/unpacked/weir-* &&
        cmp <("$python" -m zipfile -l "$dir"/wheels/weir-*.whl |
            awk '{ print $1 }' | sort) \
            <("$python" -m zipfile -l "$dir"/again/weir-*.whl |
                awk '{ print $1 }' | sort)
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
fact 'a wheel and a source package are built' wheel
fact 'the wheel works where nothing else is' installed
fact 'the source package builds the same' from_source
fact 'what its page shows runs' page

facts_end
