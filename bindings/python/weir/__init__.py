# SPDX-License-Identifier: Apache-2.0
"""Weir: streams (append-only logs) in shared object storage.

    import weir

    with weir.open(store="dir:data", wal="file:wal?size=64MiB") as node:
        orders = node.stream("orders", create=True)
        offset = orders.append(b"first")
        for batch in orders.fetch(offset):
            print(batch.base_offset, bytes(batch.data))

`weir.aio` is the same with await and async for, `weir.sim` a simulated world
for tests.  Durations are seconds, sizes bytes."""
from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Any, Callable, Iterator, Optional, Sequence

from weir import _arguments as arguments
from weir import _core, _hooks
from weir._core import ABSENT, ANY, END, Batch, Member, Pair, Payload, StreamStat
from weir._ffi import API, ffi, lib
from weir._hooks import GiveKeys, Log, S3Keys
from weir.errors import (AgainError, BusyError, ClosedError, ConflictError,
                         CorruptError, Error, ExistsError, FatalError,
                         FencedError, InvalidError, NotFoundError, OffsetError,
                         ReadOnlyError, ReopenError, RetryError, TimedOutError,
                         UnavailableError, UnknownError)

__version__ = ffi.string(lib.weir_version()).decode()

# A wait is cut into slices, so that a signal (Ctrl-C) is seen in between.
_SLICE_NS = 50_000_000
_CLOSED = -10  # WEIR_ECLOSED
_BUSY = -22  # WEIR_EBUSY


class Stream:
    """A stream that is open on a node."""

    def __init__(self, node: "Node", handle: Any, name: str) -> None:
        self._node = node
        self._stream = handle
        self.name = name

    @property
    def _handle(self) -> Any:
        self._node._alive()
        if self._stream is None:
            raise ClosedError(-10, "WEIR_ECLOSED",
                              f"stream {self.name}: closed")
        return self._stream

    def append(self, data: Payload, count: int = 1,
               timestamp: Optional[int] = None, wait: bool = True) -> int:
        """Append one batch; its base offset, once it is durable.

        `count` is how many offsets it covers, `timestamp` the latest of its
        records in milliseconds since 1970.  Without `wait` AgainError tells
        that there is no room now."""
        node = self._node
        request = node._append(self._handle, data, count, timestamp, wait)
        return int(node._wait(request).base_offset)

    def append_many(self, payloads: Sequence[Payload], count: int = 1,
                    timestamp: Optional[int] = None) -> list[int]:
        """Append many batches at once; their base offsets, once all are
        durable.  The fast way: they share groups, and one wait.

        An error is that of the first that failed; others may be durable."""
        return self._node._append_many(self._handle, payloads, count, timestamp)

    def fetch(self, offset: int = 0, max_bytes: int = 1 << 20,
              min_bytes: int = 0, max_wait: Optional[float] = 0) -> list[Batch]:
        """Whole batches, from the one that holds `offset`.

        At the end of the stream it waits for `min_bytes`, for up to
        `max_wait` seconds (None: for ever); then it gives what there is."""
        node = self._node
        request = node._fetch(self._handle, offset, max_bytes, min_bytes,
                              max_wait)
        return _core.batches_of(node._wait(request))

    def follow(self, offset: int = 0, max_bytes: int = 1 << 20,
               timeout: Optional[float] = None) -> Iterator[Batch]:
        """Batch after batch, waiting for new ones; ends when none has come
        for `timeout` seconds."""
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            wait = 1.0 if until is None else min(
                1.0, max(0.0, until - time.monotonic()))
            batches = self.fetch(offset, max_bytes, 1, wait)
            for batch in batches:
                offset = batch.base_offset + batch.count
                yield batch
            if batches and timeout is not None:
                until = time.monotonic() + timeout
            elif until is not None and time.monotonic() >= until:
                return

    def trim(self, start: int = END) -> int:
        """Forget what is below `start` (default: all); the new start."""
        node = self._node
        return int(node._wait(node._trim(self._handle, start)).start)

    def stat(self) -> StreamStat:
        """State of the stream."""
        node = self._node._alive()  # Another thread may close it.
        stat = _core.stream_stat(self._handle)
        del node
        return stat

    def close(self) -> None:
        """Close the handle; closing again does nothing."""
        stream, self._stream = self._stream, None
        node = self._node._node  # Another thread may close it.
        if stream is not None and node is not None \
                and not self._node._forked:
            lib.weir_stream_close(stream)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<weir.Stream {self.name!r}>"


# What append_many has begun, until it has ended, whoever waits for it.
_under_way: list[Any] = []


def _forget_ended() -> None:
    _under_way[:] = [one for one in _under_way if one[0].left > 0]


def _buffers(payloads: Sequence[Payload]) -> list[Any]:
    from_buffer = ffi.from_buffer
    try:
        return [from_buffer(p) for p in payloads]
    except (TypeError, ValueError, BufferError):
        return [arguments.payload(f"payloads[{i}]", p)
                for i, p in enumerate(payloads)]


class Node(_core.CoreNode):
    """An open node.  Its methods may be called from any thread."""

    def _drive(self, timeout_ns: int) -> None:
        node = self._node
        rc = _CLOSED if node is None else lib.weir_poll(node, timeout_ns)
        if rc in (_BUSY, _CLOSED):
            # Another thread drives or closes it, and ends our request too.
            time.sleep(0.0005)
        elif rc < 0:
            raise _core.error_of(rc)
        _core.raise_raised()

    def _wait(self, request: _core.Request) -> Any:
        while not request.over:
            self._drive(_SLICE_NS)
        return request.result()

    def _append_many(self, stream: Any, payloads: Sequence[Payload], count: int,
                     timestamp: Optional[int]) -> list[int]:
        if isinstance(payloads, (bytes, bytearray, memoryview, str)) or \
                not isinstance(payloads, Sequence):
            raise TypeError("payloads: expected a sequence of payloads, not "
                            f"{type(payloads).__name__}")
        n = len(payloads)
        if n == 0:
            return []
        reqs = ffi.new("struct weir_append[]", n)
        err = ffi.new("struct weir_error *")
        stamp = arguments.timestamp(timestamp, _core.NO_TIMESTAMP)
        offsets = arguments.number("count", count, 1, _core.COUNT_MOST)
        held = _buffers(payloads)
        for i in range(n):
            req = reqs[i]
            req.data = held[i]
            req.len = len(held[i])
            req.count = offsets
            req.flags = 1
            req.max_timestamp = stamp
        reqs[0].req.err = err
        if API:
            self._many(stream, reqs, n, err, (held, payloads))
        else:
            self._many_abi(stream, reqs, n, (held, payloads))
        return [reqs[i].base_offset for i in range(n)]

    def _many(self, stream: Any, reqs: Any, n: int, err: Any,
              held: Any) -> None:
        many = ffi.new("struct weir_py_many *", {"left": n})
        _forget_ended()
        node = self._alive()  # Another thread may close it.
        # Before it begins: it may be interrupted at any moment.
        _under_way.append((many, reqs, err, held))
        rc = lib.weir_py_append_many(stream, reqs, n, many)
        del node
        while many.left > 0:
            self._drive(_SLICE_NS)
        _core.check(many.status, err)
        _core.check(rc, err)

    def _many_abi(self, stream: Any, reqs: Any, n: int, held: Any) -> None:
        requests = []
        for i in range(n):
            request = _core.Request(ffi.addressof(reqs, i), reqs, held)
            requests.append(self._start(lib.weir_append, stream, request))
        for request in requests:
            self._wait(request)

    def stream(self, name: str, create: bool = False, exclusive: bool = False,
               read_only: bool = False) -> Stream:
        """Open a stream; with `create`, make it if there is none."""
        request = self._open_stream(
            name, _core.stream_flags(create, exclusive, read_only))
        return Stream(self, self._wait(request).stream, name)

    def delete(self, name: str) -> None:
        """Delete a stream and all that is in it."""
        self._wait(self._delete_stream(name))

    def streams(self, prefix: str = "") -> Iterator[StreamStat]:
        """All streams whose names start with `prefix`, in their order."""
        after: Optional[str] = None
        while True:
            struct = self._wait(self._list_streams(prefix, after, 256))
            rows = _core.rows_of(struct)
            yield from rows
            if not struct.more:
                return
            after = rows[-1].name

    def flush(self) -> None:
        """Upload all that was acknowledged."""
        self._wait(self._flush())

    def put(self, key: str, value: Optional[Payload], expected: int = ANY,
            bound: bool = False) -> int:
        """Set a key, or (None) remove it, if it has the expected version
        (`weir.ANY`, `weir.ABSENT` or a number); the new version.

        `bound`: it goes when this node closes or is taken over."""
        return int(self._wait(
            self._kv_put(key, value, expected, bound)).version)

    def get(self, key: str) -> Pair:
        """One key, as far as this node has read what others commit;
        NotFoundError if there is none."""
        request = self._kv_get(key, False)
        self._wait(request)
        pair: Pair = request.extra[0]
        return pair

    def keys(self, prefix: str = "") -> list[Pair]:
        """All keys that start with `prefix`, sorted."""
        request = self._kv_get(prefix, True)
        self._wait(request)
        pairs: list[Pair] = request.extra
        return pairs

    def watch(self, prefix: str, changed: Callable[[Pair], None],
              present: bool = False) -> "Watch":
        """Call `changed` for each change of a key that starts with `prefix`,
        while this node is driven.  It must not wait for the node."""
        return Watch(self, self._kv_watch(prefix, changed, present))

    def nodes(self) -> list[Member]:
        """The nodes of the cluster."""
        found: list[Member] = []
        while True:
            after = found[-1].node_id if found else 0
            struct = self._wait(self._list_nodes(after, 64))
            found += _core.members_of(struct)
            if not struct.more:
                return found

    def take_over(self, node_id: int, wal: Optional[str] = None,
                  force: bool = False, abandon: bool = False) -> int:
        """Take over a dead node; how many streams that has freed."""
        return int(self._wait(
            self._takeover(node_id, wal, force, abandon)).streams)

    def hand_over(self, streams: Sequence[Stream], to_node: int = 0) -> None:
        """Give streams to another node (0: to whoever opens them)."""
        self._wait(self._handover(streams, to_node))

    def poll(self, timeout: float = 0) -> int:
        """Run what is due on this thread: for a host's own loop."""
        rc = lib.weir_poll(self._alive(),
                           arguments.seconds("timeout", timeout))
        if rc < 0:
            raise _core.error_of(rc)
        return int(rc)

    def close(self) -> None:
        """Close the node; closing again does nothing."""
        node, self._node = self._node, None
        if node is None or self._forked:
            return
        err = ffi.new("struct weir_error *")
        rc = lib.weir_close(node, err)
        if rc == _BUSY:  # Called in a callback: it is still open.
            self._node = node
        _core.check(rc, err)

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, kind: Optional[type[BaseException]],
                 error: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # pylint: disable=broad-except
            pass


class Watch:
    """A watch of keys."""

    def __init__(self, node: Node, request: _core.Request) -> None:
        self._node = node
        self._request = request

    def close(self) -> None:
        """End the watch."""
        if not self._request.over:
            lib.weir_kv_watch_end(self._node._alive(), self._request.struct)
            while not self._request.over:
                self._node._drive(_SLICE_NS)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open(*,  # pylint: disable=redefined-builtin
         log: Optional[Log] = None, s3_keys: Optional[GiveKeys] = None,
         **properties: Any) -> Node:
    """Open a node; each argument is a property of docs/configuration.md, such
    as store="dir:data", wal="file:wal?size=64MiB", node_id=2, lease=10.

    `log` is called with a level ("error", "warning", "info", "debug") and a
    line, on any thread; `s3_keys` when an s3: store needs keys: it gives a
    `weir.S3Keys`, and gets True if the last ones were rejected.  Neither may
    call the node."""
    config = _core.make_config(properties)
    hooks = _hooks.attach(config, log, s3_keys)
    out = ffi.new("struct weir **")
    err = ffi.new("struct weir_error *")
    _core.check(lib.weir_open(out, config, err), err)
    return Node(_core.owned(out[0]), (config, hooks))


__all__ = ["open", "Node", "Stream", "Batch", "Pair", "Member", "StreamStat",
           "Watch", "ANY", "ABSENT", "END", "Error", "RetryError",
           "ReopenError", "UnknownError", "FatalError", "AgainError",
           "TimedOutError", "UnavailableError", "FencedError", "ClosedError",
           "NotFoundError", "ExistsError", "ConflictError", "OffsetError",
           "CorruptError", "InvalidError", "BusyError", "ReadOnlyError",
           "S3Keys"]
