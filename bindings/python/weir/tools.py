# SPDX-License-Identifier: Apache-2.0
"""Looking into what is stored, and at what a store can do; no node is opened.

    for item in weir.tools.dump_wal("file:wal"):
        print(item.kind, item.fields)
    for item in weir.tools.probe("s3://bucket/prefix?region=eu-central-1"):
        print(item.fields)"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Union

from weir import _arguments as arguments
from weir import _core
from weir._ffi import callback, ffi, lib

Value = Union[int, str, bytes, None]


@dataclass(frozen=True)
class Item:
    """One thing that was found: see weir/inspect.h and weir/probe.h for the
    kinds and their fields.  `error` tells what is wrong with it, or is ""."""

    kind: str
    fields: dict[str, Value]
    status: int
    error: str


@dataclass(frozen=True)
class Property:
    """A row of docs/configuration.md."""

    key: str
    default: str
    text: str


def _value(field: Any) -> Value:
    if field.type in (lib.WEIR_FIELD_UINT, lib.WEIR_FIELD_HEX):
        return int(field.number)
    if field.type == lib.WEIR_FIELD_TIME:
        time = int(ffi.cast("int64_t", field.number))
        return None if time == _core.NO_TIMESTAMP else time
    data = bytes(ffi.buffer(field.data, field.len)) if field.len > 0 else b""
    if field.type == lib.WEIR_FIELD_TEXT:
        return data.decode(errors="surrogateescape")
    return data.hex() if field.type == lib.WEIR_FIELD_ID else data


@callback("int(void *, const struct weir_item *)", "weir_py_item",
          _core._broken)
def _item(ctx: Any, item: Any) -> int:
    ffi.from_handle(ctx).append(Item(
        ffi.string(item.kind).decode(),
        {ffi.string(item.fields[i].name).decode(): _value(item.fields[i])
         for i in range(item.count)},
        item.status, ffi.string(item.text).decode(errors="replace")))
    return 0


def _walk(start: Callable[[Any, Any, Any, Any], int],
          properties: dict[str, Any], wrong: tuple[str, ...]) -> list[Item]:
    found: list[Item] = []
    handle = ffi.new_handle(found)
    err = ffi.new("struct weir_error *")
    rc = start(_core.make_config(properties), _item, handle, err)
    _core.raise_raised()
    if rc != 0 and _core.name_of(rc) not in wrong:
        raise _core.error_of(rc, err)
    return found


def probe(store: str, **properties: Any) -> list[Item]:
    """Try what a store can do, with some fifty requests: a "store" item, a
    "check" for each property, and an "end" whose field `usable` tells whether
    a node can use it."""
    return _walk(lib.weir_probe, {"store": store, **properties},
                 ("WEIR_EUNSUPPORTED",))


def dump_wal(wal: str, **properties: Any) -> list[Item]:
    """What is in a write-ahead log that no node has open, with all checksums
    verified.  What is damaged has a `status`."""
    return _walk(lib.weir_inspect_wal, {"wal": wal, **properties},
                 ("WEIR_ECORRUPT",))


def dump_object(store: str, key: str, **properties: Any) -> list[Item]:
    """What is in an object of a store."""
    name = arguments.text("key", key)

    def start(config: Any, item: Any, ctx: Any, err: Any) -> int:
        return int(lib.weir_inspect_object(config, name, item, ctx, err))
    return _walk(start, {"store": store, **properties}, ("WEIR_ECORRUPT",))


def dump_manifest(store: str, **properties: Any) -> list[Item]:
    """The newest snapshot of the manifest, and its commits."""
    return _walk(lib.weir_inspect_manifest, {"store": store, **properties},
                 ("WEIR_ECORRUPT",))


def properties() -> list[Property]:
    """All properties that `weir.open` takes."""
    count = ffi.new("size_t *")
    table = lib.weir_config_properties(count)
    return [Property(*(ffi.string(text).decode() for text in
                       (table[i].key, getattr(table[i], "def"), table[i].text)))
            for i in range(count[0])]


__all__ = ["Item", "Property", "probe", "dump_wal", "dump_object",
           "dump_manifest", "properties"]
