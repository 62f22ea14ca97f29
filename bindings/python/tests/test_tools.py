# SPDX-License-Identifier: Apache-2.0
"""Looking into what is stored; what the library calls in the host."""
import pathlib
import re

import pytest

import weir
import weir.tools

PACKAGE = pathlib.Path(weir.__file__).parent
# What Python has no use for, or has another form of.
LEFT_OUT = {
    r"weir_\w+_sync": "waits in C; here a wait can be interrupted",
    r"weir_buf_\w+|weir_alloc_default": "memory is the library's own",
    r"weir_config_add_(store|wal)|weir_wal_give_groups":
        "backends are written in C",
    r"weir_config_set_env|weir_env_real": "environments are written in C",
    r"weir_config_get": "the caller has the properties",
    r"weir_error_set": "for backends",
    r"weir_sim_(alloc|at|blocks|bytes|cancel|disk_data|env|receive|run_idle|"
    r"run_until|send|trace|objects)": "programs of machines are written in C",
    r"weir_sim_(cut|heal)_link": "messages are sent by programs in C",
}


def test_every_public_function_is_offered_or_left_out_for_a_reason():
    cdef = (PACKAGE / "_cdef.h").read_text()
    public = {name for name in re.findall(r"\b(weir_\w+)\(", cdef)
              if not name.endswith("_fn")}
    used = "".join(p.read_text() for p in PACKAGE.glob("*.py"))
    used += (PACKAGE.parent / "build_weir.py").read_text()
    assert len(public) > 80
    missing = [name for name in sorted(public)
               if not re.search(rf"\b{name}\b", used)
               and not any(re.fullmatch(p, name) for p in LEFT_OUT)]
    assert missing == []


def test_a_wal_an_object_and_the_manifest_can_be_looked_into(tmp_path):
    store, wal = f"dir:{tmp_path}/store", f"file:{tmp_path}/wal?size=16MiB"
    with weir.open(store=store, wal=wal) as node:
        s = node.stream("s", create=True)
        s.append(b"uploaded", timestamp=1700000000000)
        node.flush()
        s.append(b"in the log")
        with pytest.raises(weir.BusyError):
            weir.tools.dump_wal(wal)
    found = weir.tools.dump_wal(wal)
    assert found[0].kind == "super" and found[-1].kind == "end"
    manifest = weir.tools.dump_manifest(store)
    assert any(i.kind == "stream_create" and i.fields["name"] == "s"
               for i in manifest)
    key = next(str(p.relative_to(tmp_path / "store"))
               for p in (tmp_path / "store" / "data").rglob("*")
               if p.is_file())
    batch = next(i for i in weir.tools.dump_object(store, key)
                 if i.kind == "batch")
    assert batch.status == 0 and batch.error == ""


def test_damage_is_shown_not_raised(tmp_path):
    store, wal = f"dir:{tmp_path}/store", f"file:{tmp_path}/wal?size=16MiB"
    with weir.open(store=store, wal=wal) as node:
        node.stream("s", create=True).append(b"x" * 5000)
        node.flush()
    path = next(p for p in (tmp_path / "store" / "data").rglob("*")
                if p.is_file())
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    found = weir.tools.dump_object(
        store, str(path.relative_to(tmp_path / "store")))
    assert any(i.status != 0 and i.error for i in found)
    with pytest.raises(weir.NotFoundError):
        weir.tools.dump_object(store, "data/00/0000-00000000000000ff")


def test_a_store_is_probed(tmp_path):
    found = weir.tools.probe(f"dir:{tmp_path}")
    assert found[-1].kind == "end" and found[-1].fields["usable"] == 1
    assert {"create", "conditional_create", "list"} <= {
        i.fields["name"] for i in found if i.kind == "check"}


def test_properties_are_listed():
    found = {p.key: p for p in weir.tools.properties()}
    assert found["node_id"].default == "1" and found["lease"].text


def test_the_log_is_the_hosts(tmp_path):
    lines = []
    with weir.open(store="mem:", log=lambda *line: lines.append(line)):
        pass
    assert any(level == "info" and "open under epoch 1" in text
               for level, text in lines)


def test_keys_that_cannot_be_had_are_told_without_what_they_said():
    asked = []

    def keys(rejected):
        asked.append(rejected)
        raise RuntimeError("a-secret")

    with pytest.raises(weir.FatalError) as caught:
        weir.open(store="s3://bucket/p?endpoint=http://127.0.0.1:1&region=x",
                  wal="mem:", s3_keys=keys)
    assert asked == [False] and "RuntimeError" in str(caught.value)
    assert "a-secret" not in str(caught.value)
