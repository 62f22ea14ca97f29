# SPDX-License-Identifier: Apache-2.0
"""The blocking interface, on the real library."""
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import weir


def texts(batches):
    return [bytes(b.data) for b in batches]


def test_what_was_appended_is_fetched(node):
    s = node.stream("orders", create=True)
    assert s.append(b"one") == 0
    assert s.append(b"two", count=3, timestamp=1700000000000) == 1
    assert s.append(bytearray(b"three")) == 4
    batches = s.fetch(0)
    assert texts(batches) == [b"one", b"two", b"three"]
    assert [b.base_offset for b in batches] == [0, 1, 4]
    assert batches[1].count == 3
    assert batches[1].max_timestamp == 1700000000000
    assert batches[0].max_timestamp is None
    assert len(batches[2]) == 5 and bytes(batches[2]) == b"three"


def test_many_batches_go_at_once(node):
    s = node.stream("s", create=True)
    assert s.append_many([b"%d" % i for i in range(1000)]) == list(range(1000))
    assert s.append_many([]) == []
    assert texts(s.fetch(990)) == [b"%d" % i for i in range(990, 1000)]


def test_a_view_outlives_its_batch_its_fetch_and_the_node(tmp_path):
    node = weir.open(store=f"dir:{tmp_path}/store",
                     wal=f"file:{tmp_path}/wal?size=16MiB")
    s = node.stream("s", create=True)
    s.append(b"still here" * 1000)
    view = s.fetch(0)[0].data
    assert view.readonly
    del s
    node.close()
    del node
    gc.collect()
    assert bytes(view[:10]) == b"still here"


def test_streams_are_listed_trimmed_and_deleted(node):
    for name in ("b", "a", "c/é"):
        node.stream(name, create=True).append(b"x" * 10)
    assert [s.name for s in node.streams()] == ["a", "b", "c/é"]
    assert [s.name for s in node.streams("c/")] == ["c/é"]
    a = node.stream("a")
    a.append(b"y")
    assert a.trim(1) == 1
    assert a.stat().start == 1 and a.stat().end == 2
    node.flush()
    assert a.stat().uploaded_end == 2
    node.delete("b")
    with pytest.raises(weir.NotFoundError):
        node.stream("b")
    assert node.stats()["appends"] == 4
    assert node.stat()["node_id"] == 1


def test_keys_are_compared_and_set(node):
    first = node.put("k", b"1", expected=weir.ABSENT)
    with pytest.raises(weir.ConflictError):
        node.put("k", b"2", expected=weir.ABSENT)
    assert node.put("k", b"", expected=first) > first
    assert node.get("k").value == b""
    node.put("k2", b"x", bound=True)
    assert [p.key for p in node.keys("k")] == ["k", "k2"]
    assert node.put("k", None) == 0
    with pytest.raises(KeyError):
        node.get("k")


def test_a_watch_tells_of_changes(node):
    seen = []
    node.put("a/0", b"0")
    with node.watch("a/", seen.append, present=True):
        node.put("a/1", b"1")
        node.put("b", b"not")
        node.put("a/1", None)
    assert [(p.key, p.value) for p in seen] == [
        ("a/0", b"0"), ("a/1", b"1"), ("a/1", None)]


def test_errors_tell_their_kind_and_what_failed(node, tmp_path):
    with pytest.raises(weir.NotFoundError) as caught:
        node.stream("nothing")
    assert caught.value.name == "WEIR_ENOENT"
    assert "nothing" in str(caught.value)
    s = node.stream("s", create=True)
    with pytest.raises(weir.OffsetError):
        s.fetch(5)
    with pytest.raises(weir.InvalidError):
        s.append(b"")
    with pytest.raises(weir.InvalidError, match="no such property"):
        weir.open(stoer="mem:")
    with pytest.raises(weir.BusyError):
        weir.open(store=f"dir:{tmp_path}/store",
                  wal=f"file:{tmp_path}/wal?size=16MiB")
    with pytest.raises(weir.ExistsError):
        node.stream("s", create=True, exclusive=True)


def test_what_is_closed_is_told_and_closes_twice(tmp_path):
    node = weir.open(store="mem:")
    s = node.stream("s", create=True)
    s.close()
    s.close()
    with pytest.raises(weir.ClosedError):
        s.append(b"x")
    node.close()
    node.close()
    with pytest.raises(weir.ClosedError):
        node.stream("s")


def test_a_follower_gets_what_comes_later(node):
    s = node.stream("s", create=True)
    s.append(b"before")
    got = []

    def follow():
        for batch in s.follow(0, timeout=30):
            got.append(bytes(batch.data))
            if len(got) == 3:
                return

    thread = threading.Thread(target=follow)
    thread.start()
    s.append(b"while")
    s.append(b"after")
    thread.join(60)
    assert got == [b"before", b"while", b"after"]
    assert list(s.follow(3, timeout=0.01)) == []


def test_threads_share_a_node(node):
    s = node.stream("s", create=True)
    offsets = []

    def work():
        for _ in range(50):
            offsets.append(s.append(b"x"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(offsets) == list(range(200))


def test_a_wait_ends_with_ctrl_c(node):
    s = node.stream("s", create=True)
    timer = threading.Timer(
        0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        s.fetch(0, min_bytes=1, max_wait=None)
    assert s.append(b"goes on") == 0


def test_a_child_cannot_use_its_parents_node(node):
    s = node.stream("s", create=True)
    child = os.fork()
    if child == 0:
        try:
            s.append(b"no")
        except weir.ClosedError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert s.append(b"yes") == 0


KILLED = """
import sys, weir
node = weir.open(store=f"dir:{sys.argv[1]}/store",
                 wal=f"file:{sys.argv[1]}/wal?size=16MiB")
s = node.stream("s", create=True)
while True:
    print(s.append(b"x" * 100), flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)],
                          stdout=subprocess.PIPE, text=True) as child:
        last = -1
        while last < 100:
            last = int(child.stdout.readline())
        child.kill()
        for line in child.stdout:
            if line.endswith("\n"):
                last = int(line)
    with weir.open(store=f"dir:{tmp_path}/store",
                   wal=f"file:{tmp_path}/wal?size=16MiB") as node:
        assert node.stream("s").stat().end > last


def test_two_nodes_hand_over_and_take_over(tmp_path):
    def start(number):
        return weir.open(store=f"dir:{tmp_path}/store", node_id=number,
                         wal=f"file:{tmp_path}/wal-{number}?size=16MiB",
                         driver=True)

    with start(1) as one, start(2) as two:
        s = one.stream("s", create=True)
        s.append(b"one")
        with pytest.raises(weir.BusyError):
            two.stream("s")
        one.hand_over([s], to_node=2)
        with pytest.raises(weir.FencedError):
            s.append(b"late")
        theirs = two.stream("s")
        assert theirs.append(b"two") == 1
        assert [m.life for m in one.nodes()] == ["live", "live"]
        two.close()
        assert one.take_over(2) == 1
        assert one.stream("s").append(b"three") == 2
        # What the other had is being uploaded: a fetch of it waits.
        s, got = one.stream("s"), []
        while len(got) < 3:
            got += texts(s.fetch(len(got)))
        assert got == [b"one", b"two", b"three"]


def test_waits_do_not_spin(node):
    s = node.stream("s", create=True)
    before = time.process_time()
    s.fetch(0, min_bytes=1, max_wait=0.5)
    assert time.process_time() - before < 0.4
