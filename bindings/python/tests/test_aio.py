# SPDX-License-Identifier: Apache-2.0
"""The asynchronous interface, on the real library."""
import asyncio

import pytest

import weir
import weir.aio


def run(tmp_path, program):
    async def main():
        async with await weir.aio.open(
                store=f"dir:{tmp_path}/store",
                wal=f"file:{tmp_path}/wal?size=16MiB") as node:
            return await program(node)

    return asyncio.run(asyncio.wait_for(main(), 60))


def test_many_appends_are_under_way_at_once(tmp_path):
    async def program(node):
        s = await node.stream("s", create=True)
        offsets = await asyncio.gather(
            *(s.append(b"%d" % i) for i in range(200)))
        assert sorted(offsets) == list(range(200))
        await node.flush()
        assert len(await s.fetch(0)) == 200
        assert [x.name for x in await node.streams()] == ["s"]
        await node.put("k", b"v")
        assert (await node.get("k")).value == b"v"

    run(tmp_path, program)


def test_a_follower_waits_without_a_thread(tmp_path):
    async def program(node):
        s = await node.stream("s", create=True)
        got = []

        async def follow():
            async for batch in s.follow(0):
                got.append(bytes(batch.data))
                if len(got) == 2:
                    return

        task = asyncio.ensure_future(follow())
        await asyncio.sleep(0.05)
        await s.append(b"a")
        await s.append(b"b")
        await task
        assert got == [b"a", b"b"]

    run(tmp_path, program)


def test_a_cancelled_wait_leaves_the_node_well(tmp_path):
    async def program(node):
        s = await node.stream("s", create=True)
        task = asyncio.ensure_future(s.fetch(0, min_bytes=1, max_wait=None))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await s.append(b"x") == 0
        assert len(await s.fetch(0)) == 1

    run(tmp_path, program)


def test_errors_are_those_of_the_blocking_form(tmp_path):
    async def program(node):
        with pytest.raises(weir.NotFoundError):
            await node.stream("none")
        s = await node.stream("s", create=True)
        with pytest.raises(weir.OffsetError):
            await s.fetch(9)

    run(tmp_path, program)
