# SPDX-License-Identifier: Apache-2.0
"""The same as `weir` with await and async for, on the running event loop.

    import weir.aio

    async with await weir.aio.open(store="dir:data") as node:
        orders = await node.stream("orders", create=True)
        offset = await orders.append(b"first")
        async for batch in orders.follow(offset):
            ...

The loop drives the node through its descriptor: there is no thread for each
call.  Opening and closing block, as the library does."""
from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Optional, Sequence

from weir import _core, _hooks
from weir._core import ANY, END, Batch, Member, Pair, Payload, StreamStat
from weir._ffi import ffi, lib
from weir._hooks import GiveKeys, Log

_ROUNDS = 64


class Stream:
    """A stream that is open on a node."""

    def __init__(self, node: "Node", handle: Any, name: str) -> None:
        self._node = node
        self._handle = handle
        self.name = name

    async def append(self, data: Payload, count: int = 1,
                     timestamp: Optional[int] = None) -> int:
        """Append one batch; its base offset, once it is durable.  Cancelling
        does not take it back: it may become durable all the same."""
        node = self._node
        node._alive()
        struct = await node._wait(
            node._append(self._handle, data, count, timestamp, True))
        return int(struct.base_offset)

    async def fetch(self, offset: int = 0, max_bytes: int = 1 << 20,
                    min_bytes: int = 0,
                    max_wait: Optional[float] = 0) -> list[Batch]:
        """Whole batches, from the one that holds `offset`."""
        node = self._node
        node._alive()
        request = node._fetch(self._handle, offset, max_bytes, min_bytes,
                              max_wait)
        try:
            struct = await node._wait(request)
        except asyncio.CancelledError:
            if not request.over:
                lib.weir_fetch_cancel(self._handle, request.struct)
            raise
        return _core.batches_of(struct)

    async def follow(self, offset: int = 0,
                     max_bytes: int = 1 << 20) -> AsyncIterator[Batch]:
        """Batch after batch, for ever."""
        while True:
            for batch in await self.fetch(offset, max_bytes, 1, 30.0):
                offset = batch.base_offset + batch.count
                yield batch

    async def trim(self, start: int = END) -> int:
        """Forget what is below `start`; the new start."""
        node = self._node
        node._alive()
        struct = await node._wait(node._trim(self._handle, start))
        return int(struct.start)

    def stat(self) -> StreamStat:
        """State of the stream."""
        self._node._alive()
        return _core.stream_stat(self._handle)


class Node(_core.CoreNode):
    """An open node; all of it on one event loop."""

    def __init__(self, pointer: Any, config: Any) -> None:
        super().__init__(pointer, config)
        self._loop = asyncio.get_running_loop()
        self._fd = lib.weir_poll_fd(pointer)
        self._posted = False
        self._loop.add_reader(self._fd, self._turn)

    def _turn(self) -> None:
        self._posted = False
        for _ in range(_ROUNDS):
            if self._node is None or lib.weir_poll(self._node, 0) <= 0:
                break
        else:
            self._soon()
        _core.raise_raised()

    def _soon(self) -> None:
        if not self._posted:
            self._posted = True
            self._loop.call_soon(self._turn)

    async def _wait(self, request: _core.Request) -> Any:
        if not request.over:
            future: asyncio.Future[None] = self._loop.create_future()

            def wake(_: _core.Request) -> None:
                if not future.done():
                    future.set_result(None)
            request.wake = wake
            self._soon()
            await future
        return request.result()

    async def stream(self, name: str, create: bool = False,
                     exclusive: bool = False,
                     read_only: bool = False) -> Stream:
        """Open a stream; with `create`, make it if there is none."""
        struct = await self._wait(self._open_stream(
            name, _core.stream_flags(create, exclusive, read_only)))
        return Stream(self, struct.stream, name)

    async def delete(self, name: str) -> None:
        """Delete a stream."""
        await self._wait(self._delete_stream(name))

    async def streams(self, prefix: str = "") -> list[StreamStat]:
        """All streams whose names start with `prefix`."""
        found: list[StreamStat] = []
        while True:
            after = found[-1].name if found else None
            struct = await self._wait(self._list_streams(prefix, after, 256))
            found += _core.rows_of(struct)
            if not struct.more:
                return found

    async def flush(self) -> None:
        """Upload all that was acknowledged."""
        await self._wait(self._flush())

    async def put(self, key: str, value: Optional[Payload],
                  expected: int = ANY, bound: bool = False) -> int:
        """Set or remove a key; its new version."""
        struct = await self._wait(self._kv_put(key, value, expected, bound))
        return int(struct.version)

    async def get(self, key: str) -> Pair:
        """One key; NotFoundError if there is none."""
        request = self._kv_get(key, False)
        await self._wait(request)
        pair: Pair = request.extra[0]
        return pair

    async def keys(self, prefix: str = "") -> list[Pair]:
        """All keys that start with `prefix`."""
        request = self._kv_get(prefix, True)
        await self._wait(request)
        pairs: list[Pair] = request.extra
        return pairs

    async def nodes(self) -> list[Member]:
        """The nodes of the cluster."""
        struct = await self._wait(self._list_nodes(0, 1024))
        return list(_core.members_of(struct))

    async def take_over(self, node_id: int, wal: Optional[str] = None,
                        force: bool = False, abandon: bool = False) -> int:
        """Take over a dead node; how many streams that has freed."""
        struct = await self._wait(
            self._takeover(node_id, wal, force, abandon))
        return int(struct.streams)

    async def hand_over(self, streams: Sequence[Stream],
                        to_node: int = 0) -> None:
        """Give streams to another node."""
        await self._wait(self._handover(streams, to_node))

    async def close(self) -> None:
        """Close the node; closing again does nothing."""
        node, self._node = self._node, None
        if node is None or self._forked:
            return
        self._loop.remove_reader(self._fd)
        err = ffi.new("struct weir_error *")
        rc = lib.weir_close(node, err)
        lib.weir_free(node)
        _core.check(rc, err)

    async def __aenter__(self) -> "Node":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def open(*,  # pylint: disable=redefined-builtin
               log: Optional[Log] = None, s3_keys: Optional[GiveKeys] = None,
               **properties: Any) -> Node:
    """Open a node; the arguments are those of `weir.open`."""
    config = _core.make_config(properties)
    hooks = _hooks.attach(config, log, s3_keys)
    out = ffi.new("struct weir **")
    err = ffi.new("struct weir_error *")
    _core.check(lib.weir_open(out, config, err), err)
    return Node(out[0], (config, hooks))

