#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir on a real file system that loses its power.

The file system is on a loop device.  While weir appends, it is shut down
without its journal being flushed: whatever was not synced is lost, and each
call fails from then on.  It is mounted anew, and every line whose offset was
printed is there.

    BUILD=build SOAK=600 WEIR_SEED=7 tests/integration/test_power_cut.py

Needs root and loop devices; says so and does nothing otherwise.
"""
import fcntl
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

from weir_box import Bad, Box, line

ROUNDS = 6  # On each file system, and so many seconds at the most:
SECONDS = 12
SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), of ext4, XFS and others.
NO_LOG_FLUSH = 2


def tool(*args):
    return subprocess.run(args, capture_output=True, text=True, check=False)


class Disk:
    """A file system in a file."""

    def __init__(self, folder, kind):
        self.image = os.path.join(folder, kind)
        self.at = os.path.join(folder, kind + ".mounted")
        os.mkdir(self.at)
        with open(self.image, "wb") as file:
            file.truncate(320 << 20)  # XFS wants no less.
        self.must(f"mkfs.{kind}", "-q", self.image)
        self.mount()

    def must(self, *args):
        try:
            done = tool(*args)
        except FileNotFoundError as why:
            raise OSError(f"no {args[0]}") from why
        if done.returncode != 0:
            raise OSError(f"{' '.join(args)}: {done.stderr.strip()}")

    def mount(self):
        self.must("mount", "-o", "loop", self.image, self.at)
        self.is_off = False

    def unmount(self):
        self.must("umount", self.at)

    def cut(self):
        self.is_off = True
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, NO_LOG_FLUSH.to_bytes(4, sys.byteorder))
        finally:
            os.close(fd)


def send(process, first):
    """Without end, with pauses of other lengths, until nobody reads."""
    try:
        for n in range(first, first + 1000000):
            process.stdin.write(line(n) + "\n")
            if n % 37 == 0:
                process.stdin.flush()
                time.sleep(n % 11 / 1000)
    except (BrokenPipeError, ValueError):
        pass


def run_round(disk, box, wait):
    """Lines acknowledged before the cut, and seen after it."""
    before = box.acked
    with tempfile.TemporaryFile("w+") as errors:
        with box.start(errors) as process:
            sender = threading.Thread(target=send, args=(process, before))
            sender.start()
            timer = threading.Timer(wait, disk.cut)
            if box.acknowledge(process.stdout.readline()):
                timer.start()
            for answer in process.stdout:
                box.acknowledge(answer)
            code = process.wait(30)
            sender.join()
            process.stdin = None
            timer.cancel()
            if timer.ident is not None:
                timer.join()
        errors.seek(0)
        text = errors.read()
    if not disk.is_off or code != 1 or "Input/output error" not in text:
        raise Bad(f"status {code} after {box.acked - before} lines: "
                  f"{text[-400:]!r}")
    disk.unmount()
    disk.mount()
    acked = box.acked
    box.check()
    return acked - before


def run(folder, kind, rng, soak):
    """(rounds, lines) or None if it cannot be done here."""
    try:
        disk = Disk(folder, kind)
    except OSError as why:
        print(f"skipped: {kind}: {why}")
        return 0
    box = Box(disk.at)
    end = time.monotonic() + (soak or SECONDS)
    rounds = lines = 0
    try:
        while time.monotonic() < end and (soak or rounds < ROUNDS):
            lines += run_round(disk, box, rng.random() * 0.4)
            rounds += 1
    finally:
        tool("umount", "--lazy", disk.at)
        os.unlink(disk.image)
    print(f"{kind}: {rounds} power cuts, {lines} lines acknowledged, 0 lost")
    return rounds


def main():
    # Mounts that nobody else sees, and that go with this process.
    if "--inside" not in sys.argv:
        if os.geteuid() != 0 or tool("unshare", "--mount", "true").returncode:
            print("skipped: a mount of its own takes root")
            print("0 passed, 0 failed")
            return 0
        os.execvp("unshare", ["unshare", "--mount", "--propagation",
                              "private", sys.argv[0], "--inside"])
    seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
    soak = float(os.environ.get("SOAK", 0))
    print(f"WEIR_SEED={seed}", flush=True)
    passed = 0
    with tempfile.TemporaryDirectory(prefix="weir-power-") as folder:
        for kind in ("ext4", "xfs"):
            try:
                passed += run(folder, kind, random.Random(seed), soak / 2)
            except Bad as bad:
                print(f"FAILED: {kind}: {bad}")
                print(f"{passed} passed, 1 failed")
                return 1
    print(f"{passed} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
