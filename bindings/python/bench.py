#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one Python thread can do, on a directory and a log file: printed, not
asserted.  Needs `make python`."""
import pathlib
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import weir  # noqa: E402

SECONDS = 3
PAYLOAD = b"x" * 1024


def rate(what, work):
    """Units of `work` a second."""
    began = time.monotonic()
    done = 0
    while time.monotonic() - began < SECONDS:
        done += work()
    return what, done / (time.monotonic() - began)


def main():
    with tempfile.TemporaryDirectory() as folder, \
            weir.open(store=f"dir:{folder}/store",
                      wal=f"file:{folder}/wal?size=512MiB") as node:
        stream = node.stream("s", create=True)
        many = [PAYLOAD] * 100

        def append():
            return len(stream.append_many(many))

        what, n = rate("append_many, 100 payloads of 1 KiB", append)
        print(f"{what}: {n:,.0f} appends/s")
        large = b"y" * (256 << 10)
        tail = stream.append_many([large] * 64)[0]

        def read():
            return sum(len(batch.data)
                       for batch in stream.fetch(tail, 64 << 20))

        what, n = rate("tail reads as memoryviews, batches of 256 KiB", read)
        print(f"{what}: {n / 1e9:,.1f} GB/s")


if __name__ == "__main__":
    main()
