#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a takeover and a hand-over take: printed, not asserted.  On a
directory; with a URI, `cluster.py s3://...`, in that store, beside curl, a
plain client, that gets the same tail from it.  Properties of the nodes may
follow it, s3_access_key=... and so on.  Needs `make python`."""
import hashlib
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "bindings" / "python"))
import weir  # noqa: E402

TAIL = 256 << 20
BATCH = b"x" * (64 << 10)
STREAMS = 1000
SETTINGS = {"upload_interval": "1h", "upload_bytes": "1GiB",
            "log_cache": "1GiB", "driver": True}


class Place:
    """Where the nodes' store is, and what they are given to get in."""

    def __init__(self, store, *properties):
        self.arguments = [store, *properties]
        self.store = store
        self.properties = dict(p.split("=", 1) for p in properties)

    def start(self, number, wal):
        if wal == "file:":
            wal = f"file:{self.store[len('dir:'):]}-wal-{number}?size=1GiB"
        return weir.open(store=self.store, node_id=number, wal=wal,
                         **SETTINGS, **self.properties)


def dying(place, wal, group):
    """A node that leaves a tail, and waits to be killed."""
    node = place.start(1, wal)
    stream = node.stream("s", create=True)
    for _ in range(TAIL // group):
        stream.append_many([BATCH] * (group // len(BATCH)))
    print(stream.stat().end, node.stat()["epoch"], flush=True)
    time.sleep(600)


class Plain:
    """curl, which gets the slots of node 1 from an S3 server."""

    def __init__(self, place, epoch, most):
        uri = urllib.parse.urlsplit(place.store)
        query = dict(urllib.parse.parse_qsl(uri.query))
        base = f"{query['endpoint']}/{uri.netloc}{uri.path}/wal/00000001"
        empty = hashlib.sha256(b"").hexdigest()
        keys = place.properties
        self.options = [
            f'user = "{keys["s3_access_key"]}:{keys["s3_secret_key"]}"',
            'aws-sigv4 = "aws:amz:us-east-1:s3"', "silent",
            f'header = "x-amz-content-sha256: {empty}"',
            'write-out = "%{http_code} %{size_download} %{url}\\n"']
        if "s3_ca_file" in keys:
            self.options.append(f'cacert = "{keys["s3_ca_file"]}"')
        self.urls = [f"{base}/{epoch:016x}/{slot:016x}"
                     for slot in range(1, most + 1)]
        answers, _ = self.get(4)  # Not timed: which there are.
        self.urls = [url for code, _, url in answers if code == "200"]

    def get(self, at_a_time):
        """What was answered, and in how many seconds."""
        lines = list(self.options)
        for url in self.urls:
            lines += [f'url = "{url}"', 'output = "/dev/null"']
        command = ["curl", "-K", "-"]
        if at_a_time > 1:
            command += ["-Z", "--parallel-max", str(at_a_time)]
        began = time.monotonic()
        run = subprocess.run(command, input="\n".join(lines), text=True,
                             capture_output=True, check=True)
        took = time.monotonic() - began
        return [line.split() for line in run.stdout.splitlines()], took

    def measure(self):
        """Before the takeover, which removes them."""
        times = []
        for at_a_time in (1, 4):
            answers, took = self.get(at_a_time)
            got = sum(int(size) for code, size, _ in answers if code == "200")
            assert got >= TAIL, got
            times.append(took)
        return (f"  plain GETs of the same {len(self.urls)} objects: "
                f"{times[0]:.2f} s one after the other, {times[1]:.2f} s 4 at "
                "a time")


def takeover(place, wal, group=1 << 20):
    child = [sys.executable, str(HERE), "dying", wal, str(group),
             *place.arguments]
    with subprocess.Popen(child, stdout=subprocess.PIPE, text=True) as dies:
        end, epoch = map(int, dies.stdout.readline().split())
        dies.send_signal(signal.SIGKILL)
    plain = ""
    if place.store.startswith("s3:"):
        plain = Plain(place, epoch, 2 * TAIL // group).measure()
    with place.start(2, wal) as node:
        cpu = time.process_time()
        began = time.monotonic()
        node.take_over(1, force=True)
        taken = time.monotonic()
        offset = node.stream("s").append(b"first")
        first = time.monotonic()
        cpu = time.process_time() - cpu
        assert offset == end, (offset, end)
        node.stream("s").fetch(end - 1)
        read = time.monotonic()
    print(f"{wal:8} takeover of a tail of {TAIL >> 20} MiB, {group >> 20} MiB "
          f"at a time: {taken - began:.2f} s, first append after "
          f"{first - began:.2f} s (target 1; {cpu:.2f} s of it computing), the "
          f"tail readable after {read - began:.2f} s")
    if plain:
        print(plain)


def handover(place, wal):
    with place.start(1, wal) as one, place.start(2, wal) as two:
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
    print(f"hand-over of {STREAMS} streams: {given - began:.3f} s (target 1) "
          f"in {commits} commit(s); the other node has opened them after "
          f"{opened - began:.3f} s")


def on_directory():
    for run, wal in ((takeover, "file:"), (takeover, "object:"),
                     (handover, "file:")):
        with tempfile.TemporaryDirectory() as folder:
            run(Place(f"dir:{folder}/store"), wal)


def in_bucket(uri, properties):
    bucket, query = uri.split("?", 1)
    for group in (1 << 20, 8 << 20):
        takeover(Place(f"{bucket}/tail-{group}?{query}", *properties),
                 "object:", group)
    handover(Place(f"{bucket}/hand-over?{query}", *properties), "object:")


if __name__ == "__main__":
    if sys.argv[1:2] == ["dying"]:
        dying(Place(*sys.argv[4:]), sys.argv[2], int(sys.argv[3]))
    elif len(sys.argv) > 1:
        in_bucket(sys.argv[1], sys.argv[2:])
    else:
        on_directory()
