#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a takeover and a hand-over take, on a directory: printed, not
asserted.  Needs `make python`."""
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "bindings" / "python"))
import weir  # noqa: E402

TAIL = 256 << 20
BATCH = b"x" * (64 << 10)
STREAMS = 1000
SETTINGS = {"upload_interval": "1h", "upload_bytes": "1GiB",
            "log_cache": "1GiB", "driver": True}


def start(folder, number, wal):
    uri = wal if wal == "object:" else \
        f"file:{folder}/wal-{number}?size=1GiB"
    return weir.open(store=f"dir:{folder}/store", node_id=number, wal=uri,
                     **SETTINGS)


def dying(folder, wal):
    """A node that leaves a tail, and waits to be killed."""
    node = start(folder, 1, wal)
    stream = node.stream("s", create=True)
    for _ in range(TAIL // (16 * len(BATCH))):
        stream.append_many([BATCH] * 16)
    print(stream.stat().end, flush=True)
    time.sleep(600)


def takeover(wal):
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen([sys.executable, str(HERE), folder, wal],
                              stdout=subprocess.PIPE, text=True) as child:
            end = int(child.stdout.readline())
            child.send_signal(signal.SIGKILL)
        with start(folder, 2, wal) as node:
            began = time.monotonic()
            node.take_over(1, force=True)
            taken = time.monotonic()
            offset = node.stream("s").append(b"first")
            first = time.monotonic()
            assert offset == end, (offset, end)
            node.stream("s").fetch(end - 1)
            read = time.monotonic()
    print(f"{wal or 'file:':8} takeover of a tail of {TAIL >> 20} MiB: "
          f"{taken - began:.2f} s, first append after {first - began:.2f} s, "
          f"the tail readable after {read - began:.2f} s")


def handover():
    with tempfile.TemporaryDirectory() as folder, \
            start(folder, 1, "") as one, start(folder, 2, "") as two:
        streams = [one.stream(f"s{i}", create=True) for i in range(STREAMS)]
        one._wait(one._flush())
        for stream in streams:
            stream.append(b"x" * 100)
        before = one.stats()["commits"]
        began = time.monotonic()
        one.hand_over(streams, to_node=2)
        given = time.monotonic()
        commits = one.stats()["commits"] - before
        requests = [two._open_stream(f"s{i}", 0) for i in range(STREAMS)]
        for request in requests:
            two._wait(request)
        opened = time.monotonic()
    print(f"hand-over of {STREAMS} streams: {given - began:.3f} s in "
          f"{commits} commit(s); the other node has opened them after "
          f"{opened - began:.3f} s")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        dying(*sys.argv[1:])
    takeover("")
    takeover("object:")
    handover()
