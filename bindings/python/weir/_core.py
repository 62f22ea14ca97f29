# SPDX-License-Identifier: Apache-2.0
"""Requests, nodes and streams, without deciding how to wait."""
from __future__ import annotations

import os
import threading
import traceback
import weakref
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

from weir import _arguments as arguments
from weir import errors
from weir._ffi import API, callback, ffi, lib

Payload = Union[bytes, bytearray, memoryview]
END = (1 << 64) - 1
NO_TIMESTAMP = -(1 << 63)
ANY = (1 << 64) - 1
ABSENT = 0
COUNT_MOST = (1 << 32) - 1
NODE_ID_MOST = 1000000


def name_of(code: int) -> str:
    return str(ffi.string(lib.weir_error_name(code)).decode())


def error_of(code: int, err: Any = None) -> errors.Error:
    name = name_of(code)
    text = ""
    if err is not None:
        text = ffi.string(err.text).decode(errors="replace")
    if not text:
        text = ffi.string(lib.weir_error_text(code)).decode()
    kind = errors.KINDS.get(name)
    if kind is None:
        kind = errors.CLASSES.get(lib.weir_error_class(code), errors.Error)
    return kind(code, name, text)


def check(code: int, err: Any = None) -> None:
    if code != 0:
        raise error_of(code, err)


class Request:
    """A request under way: keeps all that it points at until it has ended."""

    __slots__ = ("struct", "err", "kept", "status", "over", "wake", "extra")

    def __init__(self, struct: Any, *kept: Any) -> None:
        self.struct = struct
        self.err = ffi.new("struct weir_error *")
        self.kept = kept
        self.status = 0
        self.over = False
        self.wake: Any = None
        self.extra: Any = None
        struct.req.err = self.err
        struct.req.done = _done

    def result(self) -> Any:
        check(self.status, self.err)
        return self.struct


_pending: dict[int, Request] = {}
# What a callback has raised that is not for it: Ctrl-C comes wherever the
# interpreter runs.  Whoever drives raises it.
_raised: list[BaseException] = []


def raise_raised() -> None:
    if _raised:
        raise _raised.pop()


def _broken(_: Any, error: BaseException, trace: Any) -> None:
    if isinstance(error, Exception):
        traceback.print_exception(type(error), error, trace)
    else:
        _raised.append(error)


def _finish(req: Any, status: int) -> None:
    """May be called again when it was interrupted."""
    key = int(ffi.cast("uintptr_t", req))
    request = _pending.get(key)
    if request is None:
        return
    request.status = status
    request.over = True
    if request.wake is not None:
        request.wake(request)
    _pending.pop(key, None)


def _done_broken(kind: Any, error: BaseException, trace: Any) -> None:
    given = trace.tb_frame.f_locals
    _finish(given["req"], given["status"])
    _broken(kind, error, trace)


@callback("void(struct weir_req *, int)", "weir_py_done", _done_broken)
def _done(req: Any, status: int) -> None:
    _finish(req, status)


@callback("int(struct weir_kv_get *, const struct weir_kv_pair *)",
          "weir_py_pair", _broken)
def _pair(req: Any, pair: Any) -> int:
    request = _pending[int(ffi.cast("uintptr_t", req))]
    request.extra.append(_pair_of(pair))
    return 0


@callback("int(struct weir_kv_watch *, const struct weir_kv_pair *)",
          "weir_py_changed", _broken)
def _changed(req: Any, pair: Any) -> int:
    request = _pending[int(ffi.cast("uintptr_t", req))]
    request.extra(_pair_of(pair))
    return 0


@dataclass(frozen=True)
class Pair:
    """A key and its value; `value` is None for a key that was removed."""

    key: str
    value: Optional[bytes]
    version: int


def _pair_of(pair: Any) -> Pair:
    value = None
    if pair.value != ffi.NULL:
        value = ffi.buffer(pair.value, pair.len)[:]
    return Pair(ffi.string(pair.key).decode(errors="surrogateescape"), value,
                pair.version)


class Batch:
    """One batch of a fetch.  `data` stays valid as long as anything refers to
    it, also when the node is closed."""

    __slots__ = ("base_offset", "count", "max_timestamp", "crc32c", "_pointer",
                 "_len", "_fetch")

    def __init__(self, batch: Any, fetch: Any) -> None:
        self.base_offset: int = batch.base_offset
        self.count: int = batch.count
        self.max_timestamp: Optional[int] = (
            None if batch.max_timestamp == NO_TIMESTAMP
            else batch.max_timestamp)
        self.crc32c: int = batch.crc32c
        self._pointer = batch.data
        self._len: int = batch.len
        self._fetch = fetch

    @property
    def data(self) -> memoryview:
        """The payload, where the library has it: nothing is copied."""
        fetch = self._fetch
        # The destructor refers to the fetch: so whoever has the view has it.
        owner = ffi.gc(ffi.cast("char *", self._pointer),
                       lambda _, held=fetch: None)
        return memoryview(ffi.buffer(owner, self._len)).toreadonly()

    def __len__(self) -> int:
        return self._len

    def __bytes__(self) -> bytes:
        return bytes(ffi.buffer(ffi.cast("char *", self._pointer), self._len))

    def __repr__(self) -> str:
        return (f"Batch(base_offset={self.base_offset}, count={self.count}, "
                f"len={self._len})")


def batches_of(struct: Any) -> list[Batch]:
    return [Batch(struct.batches[i], struct) for i in range(struct.count)]


@dataclass(frozen=True)
class StreamStat:
    """State of a stream."""

    name: str
    id: int
    epoch: int
    start: int
    end: int
    uploaded_end: int
    bytes: int
    objects: int
    owner: int
    max_timestamp: Optional[int]


def stat_of(s: Any) -> StreamStat:
    return StreamStat(
        ffi.string(s.name).decode(errors="surrogateescape"), s.id, s.epoch,
        s.start, s.end, s.uploaded_end, s.bytes, s.objects, s.owner,
        None if s.max_timestamp == NO_TIMESTAMP else s.max_timestamp)


@dataclass(frozen=True)
class Member:
    """A node of the cluster; `life` is "live", "lapsed" or "closed"."""

    node_id: int
    life: str
    epoch: int
    lease: float
    streams: int
    wal_clean: bool
    wal: str


def _durations() -> frozenset[str]:
    count = ffi.new("size_t *")
    table = lib.weir_config_properties(count)
    return frozenset(ffi.string(table[i].key).decode() for i in range(count[0])
                     if table[i].type == lib.WEIR_TYPE_DURATION)


DURATIONS = _durations()


def text_of(key: str, value: Any) -> bytes:
    """A property's value as the library reads it: durations are seconds."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, (int, float)) and key in DURATIONS:
        return b"%dns" % arguments.seconds(key, value)
    if isinstance(value, (int, float)):
        return str(value).encode()
    if isinstance(value, str):
        return arguments.text(key, value)
    raise TypeError(f"{key}: expected str, bool or a number, not "
                    f"{type(value).__name__}")


def make_config(properties: Mapping[str, Any], config: Any = None) -> Any:
    err = ffi.new("struct weir_error *")
    if config is None:
        out = ffi.new("struct weir_config **")
        check(lib.weir_config_new(out, ffi.NULL))
        config = ffi.gc(out[0], lib.weir_config_free)
    for key, value in properties.items():
        check(lib.weir_config_set(config, key.encode(), text_of(key, value),
                                  err), err)
    return config


_nodes: "weakref.WeakSet[CoreNode]" = weakref.WeakSet()


def _forget_in_child() -> None:
    for node in list(_nodes):
        node._forked = True


os.register_at_fork(after_in_child=_forget_in_child)


def owned(pointer: Any) -> Any:
    """A node that is freed with the last reference to it, when no thread can
    be inside of it; not by a child, whose copy has no threads to end."""
    opener = os.getpid()

    def free(node: Any, free_node: Any = lib.weir_free,
             process: Any = os.getpid) -> None:
        if process() == opener:
            free_node(node)
    return ffi.gc(pointer, free)


class CoreNode:
    """What nodes have in common, however they wait."""

    def __init__(self, pointer: Any, config: Any) -> None:
        self._node = pointer
        self._config = config
        self._forked = False
        self._lock = threading.Lock()
        _nodes.add(self)

    def _alive(self) -> Any:
        if self._forked:
            raise errors.ClosedError(
                -10, "WEIR_ECLOSED", "the node was opened by the parent "
                "process: open one of your own after fork")
        if self._node is None:
            raise errors.ClosedError(-10, "WEIR_ECLOSED",
                                     "the node is closed")
        return self._node

    def _start(self, start: Any, target: Any, request: Request) -> Request:
        node = self._alive()  # Another thread may close it: see `owned`.
        key = int(ffi.cast("uintptr_t", request.struct))
        _pending[key] = request
        rc = start(target, request.struct)
        del node
        if rc != 0:
            _pending.pop(key, None)
            raise error_of(rc, request.err)
        return request

    # Each gives a request that was started.

    def _open_stream(self, name: str, flags: int) -> Request:
        text = ffi.new("char[]", arguments.text("name", name))
        struct = ffi.new("struct weir_stream_open *",
                         {"name": text, "flags": flags})
        return self._start(lib.weir_stream_open, self._alive(),
                           Request(struct, text))

    def _delete_stream(self, name: str) -> Request:
        text = ffi.new("char[]", arguments.text("name", name))
        struct = ffi.new("struct weir_stream_delete *", {"name": text})
        return self._start(lib.weir_stream_delete, self._alive(),
                           Request(struct, text))

    def _list_streams(self, prefix: str, after: Optional[str],
                      limit: int) -> Request:
        first = ffi.new("char[]", arguments.text("prefix", prefix))
        rows = ffi.new("struct weir_stream_stat[]", limit)
        struct = ffi.new("struct weir_stream_list *",
                         {"prefix": first, "out": rows, "limit": limit})
        behind = None
        if after is not None:
            behind = ffi.new("char[]", arguments.text("after", after))
            struct.after = behind
        return self._start(lib.weir_stream_list, self._alive(),
                           Request(struct, first, rows, behind))

    def _flush(self) -> Request:
        return self._start(lib.weir_flush, self._alive(),
                           Request(ffi.new("struct weir_flush *")))

    def _kv_put(self, key: str, value: Optional[Payload], expected: int,
                bound: bool) -> Request:
        text = ffi.new("char[]", arguments.text("key", key))
        struct = ffi.new("struct weir_kv_put *",
                         {"key": text, "flags": 1 if bound else 0})
        struct.expected = arguments.number("expected", expected, 0, ANY)
        held = None
        if value is not None:
            given = arguments.payload("value", value)
            # An empty value is a value.
            held = ffi.new("char[]", max(len(given), 1))
            ffi.memmove(held, given, len(given))
            struct.value = held
            struct.len = len(given)
        return self._start(lib.weir_kv_put, self._alive(),
                           Request(struct, text, held))

    def _kv_get(self, key: str, prefix: bool) -> Request:
        text = ffi.new("char[]", arguments.text("key", key))
        struct = ffi.new("struct weir_kv_get *",
                         {"key": text, "prefix": int(prefix), "pair": _pair})
        request = Request(struct, text)
        request.extra = []
        return self._start(lib.weir_kv_get, self._alive(), request)

    def _kv_watch(self, prefix: str, changed: Any, present: bool) -> Request:
        if not callable(changed):
            raise TypeError("changed: expected a function of one Pair, not "
                            f"{type(changed).__name__}")
        text = ffi.new("char[]", arguments.text("prefix", prefix))
        struct = ffi.new("struct weir_kv_watch *",
                         {"prefix": text, "present": int(present),
                          "changed": _changed})
        request = Request(struct, text)
        request.extra = changed
        return self._start(lib.weir_kv_watch, self._alive(), request)

    def _list_nodes(self, after: int, limit: int) -> Request:
        rows = ffi.new("struct weir_member[]", limit)
        struct = ffi.new("struct weir_node_list *",
                         {"after": after, "out": rows, "limit": limit})
        return self._start(lib.weir_node_list, self._alive(),
                           Request(struct, rows))

    def _takeover(self, node_id: int, wal: Optional[str], force: bool,
                  abandon: bool) -> Request:
        number = arguments.number("node_id", node_id, 0, NODE_ID_MOST)
        struct = ffi.new("struct weir_takeover *",
                         {"node_id": number,
                          "flags": (1 if force else 0) | (2 if abandon else 0)})
        text = None
        if wal is not None:
            text = ffi.new("char[]", arguments.text("wal", wal))
            struct.wal = text
        return self._start(lib.weir_takeover, self._alive(),
                           Request(struct, text))

    @staticmethod
    def _handles(streams: Any) -> list[Any]:
        try:
            return [s._handle for s in streams]
        except (TypeError, AttributeError):
            raise TypeError("streams: expected a list of open streams, not "
                            f"{streams!r}") from None

    def _handover(self, streams: Sequence[Any], to_node: int) -> Request:
        number = arguments.number("to_node", to_node, 0, NODE_ID_MOST)
        handles = ffi.new("struct weir_stream *[]", self._handles(streams))
        struct = ffi.new("struct weir_handover *",
                         {"streams": handles, "count": len(streams),
                          "to_node": number})
        return self._start(lib.weir_handover, self._alive(),
                           Request(struct, handles))

    def _append(self, stream: Any, data: Payload, count: int,
                timestamp: Optional[int], wait: bool) -> Request:
        held = arguments.payload("data", data)
        struct = ffi.new("struct weir_append *")
        struct.data = held
        struct.len = len(held)
        struct.count = arguments.number("count", count, 1, COUNT_MOST)
        struct.flags = 1 if wait else 0
        struct.max_timestamp = arguments.timestamp(timestamp, NO_TIMESTAMP)
        return self._start(lib.weir_append, stream, Request(struct, held, data))

    def _fetch(self, stream: Any, offset: int, max_bytes: int, min_bytes: int,
               max_wait: Optional[float]) -> Request:
        # Whoever has it last gives back what came, also if nobody waited.
        struct = ffi.gc(ffi.new("struct weir_fetch *"), lib.weir_fetch_release)
        struct.offset = arguments.number("offset", offset, 0, END)
        struct.max_bytes = arguments.number("max_bytes", max_bytes, 0,
                                            arguments.INT64)
        struct.min_bytes = arguments.number("min_bytes", min_bytes, 0,
                                            arguments.INT64)
        struct.max_wait = arguments.seconds("max_wait", max_wait)
        return self._start(lib.weir_fetch, stream, Request(struct))

    def _trim(self, stream: Any, start: int) -> Request:
        struct = ffi.new("struct weir_trim *")
        struct.start = arguments.number("start", start, 0, END)
        return self._start(lib.weir_trim, stream, Request(struct))

    # What never waits for anything but a turn of the core.

    def stats(self) -> dict[str, int]:
        """Counters of the node, by name."""
        out = ffi.new("struct weir_stats *")
        check(lib.weir_stats_sync(self._alive(), out))
        return {name: getattr(out, name)
                for name, _ in ffi.typeof("struct weir_stats").fields}

    def stat(self) -> dict[str, Any]:
        """Identity and size of the node."""
        out = ffi.new("struct weir_node_stat *")
        check(lib.weir_node_stat_sync(self._alive(), out))
        return {"cluster": bytes(ffi.buffer(out.cluster)).hex(),
                **{name: getattr(out, name) for name in
                   ("epoch", "manifest_version", "streams", "objects", "bytes",
                    "wal_bytes", "node_id")},
                "fenced": bool(out.fenced)}


def rows_of(struct: Any) -> list[StreamStat]:
    return [stat_of(struct.out[i]) for i in range(struct.count)]


def members_of(struct: Any) -> Iterator[Member]:
    lives = ("live", "lapsed", "closed")
    for i in range(struct.count):
        m = struct.out[i]
        yield Member(m.node_id, lives[m.life], m.epoch, m.lease / 1e9,
                     m.streams, bool(m.wal_clean),
                     ffi.string(m.wal).decode(errors="replace"))


def stream_flags(create: bool, exclusive: bool, read_only: bool) -> int:
    return ((1 if create else 0) | (2 if exclusive else 0)
            | (4 if read_only else 0))


def stream_stat(handle: Any) -> StreamStat:
    out = ffi.new("struct weir_stream_stat *")
    check(lib.weir_stream_stat(handle, out))
    return stat_of(out)


__all__ = ["API"]
