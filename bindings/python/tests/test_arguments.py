# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments: each error names the argument, what it was and what was
expected, in both forms."""
import asyncio

import pytest

import weir
import weir.aio

TYPES = [
    (lambda n, s: s.append("text"), r"data: expected bytes, not str"),
    (lambda n, s: s.append(None), "data: .*not NoneType"),
    (lambda n, s: s.append(memoryview(b"abcd")[::2]), "data: .*one piece"),
    (lambda n, s: s.append(b"x", count="3"), "count: .*not str '3'"),
    (lambda n, s: s.append(b"x", count=True), "count: .*not bool True"),
    (lambda n, s: s.append(b"x", timestamp=1.5), "timestamp: .*not float 1.5"),
    (lambda n, s: s.fetch("x"), "offset: .*not str 'x'"),
    (lambda n, s: s.fetch(0, max_wait="1"), "max_wait: expected seconds"),
    (lambda n, s: s.trim(1.0), "start: .*not float"),
    (lambda n, s: n.stream(5), "name: expected str, not int 5"),
    (lambda n, s: n.delete(None), "name: expected str, not NoneType"),
    (lambda n, s: n.put("k", "v"), "value: expected bytes, not str"),
    (lambda n, s: n.put(5, b"v"), "key: expected str, not int 5"),
    (lambda n, s: n.keys(5), "key: expected str"),
    (lambda n, s: n.take_over("a"), "node_id: .*not str 'a'"),
    (lambda n, s: n.take_over(2, wal=5), "wal: expected str"),
    (lambda n, s: n.hand_over(s), "streams: expected a list of open streams"),
    (lambda n, s: n.hand_over(["s"]), "streams: expected a list of open str"),
]
VALUES = [
    (lambda n, s: s.append(b"x", count=0), "count: expected 1 to .*not 0"),
    (lambda n, s: s.append(b"x", count=1 << 32), "count: .*not 4294967296"),
    (lambda n, s: s.fetch(-1), "offset: expected 0 to .*not -1"),
    (lambda n, s: s.fetch(1 << 64), "offset: .*not 18446744073709551616"),
    (lambda n, s: s.fetch(0, max_bytes=-5), "max_bytes: .*not -5"),
    (lambda n, s: s.fetch(0, min_bytes=-5), "min_bytes: .*not -5"),
    (lambda n, s: s.fetch(0, max_wait=-1), "max_wait: expected 0 or more"),
    (lambda n, s: s.fetch(0, max_wait=float("nan")), "max_wait: .*not nan"),
    (lambda n, s: s.trim(-1), "start: .*not -1"),
    (lambda n, s: n.stream("a\0b"), "name: .*zero byte"),
    (lambda n, s: n.stream(""), "name must have 1 to 255 bytes"),
    (lambda n, s: n.put("k", b"v", expected=-1), "expected: .*not -1"),
    (lambda n, s: n.take_over(-1), "node_id: .*not -1"),
    (lambda n, s: n.hand_over([s], to_node=-1), "to_node: .*not -1"),
]
BLOCKING = [
    (lambda n, s: s.append_many(b"abc"), TypeError, "payloads: .*not bytes"),
    (lambda n, s: s.append_many(5), TypeError, "payloads: .*not int"),
    (lambda n, s: s.append_many([b"a", "b"]), TypeError,
     r"payloads\[1\]: expected bytes, not str"),
    (lambda n, s: s.append_many([b"a"], count=-1), ValueError, "count: "),
    (lambda n, s: list(s.follow(-1, timeout=0)), ValueError, "offset: "),
    (lambda n, s: n.poll("x"), TypeError, "timeout: expected seconds"),
    (lambda n, s: n.watch("a", 5), TypeError, "changed: expected a function"),
    (lambda n, s: list(n.streams(5)), TypeError, "prefix: expected str"),
    (lambda n, s: weir.open(store=None), TypeError, "store: .*not NoneType"),
    (lambda n, s: weir.open(node_id="x"), ValueError, "node_id: expected a"),
    (lambda n, s: weir.open(lease=-1), ValueError, "lease: expected 0 or"),
    (lambda n, s: weir.open(log=5), TypeError, "log: expected a function"),
]
CASES = [(f, TypeError, t) for f, t in TYPES] + \
    [(f, weir.InvalidError, t) for f, t in VALUES]


@pytest.mark.parametrize("call, kind, text", CASES + BLOCKING)
def test_a_wrong_argument_is_named(node, call, kind, text):
    stream = node.stream("s", create=True)
    with pytest.raises(kind, match=text) as caught:
        call(node, stream)
    assert "\n" not in str(caught.value)
    assert stream.append(b"goes on") == 0


@pytest.mark.parametrize("call, kind, text", CASES)
def test_a_wrong_argument_is_named_with_await(call, kind, text):
    async def main():
        async with await weir.aio.open(store="mem:") as node:
            stream = await node.stream("s", create=True)
            with pytest.raises(kind, match=text):
                await call(node, stream)
            assert await stream.append(b"goes on") == 0

    asyncio.run(main())


def test_durations_are_seconds_and_words():
    for lease in (10, 10.0, "10s", 0.25):
        weir.open(store="mem:", lease=lease).close()
