#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unmodified weir, killed at its system calls, and with each failing.

strace counts the calls of a run, and then the run is done again and again:
killed as it enters the k-th such call, or with the k-th failing in each way
that applies.  strace counts for each thread by itself; with one worker the
log, the store and the core have a thread each.

After each run a plain weir looks: each line whose offset was printed is there
at that offset, byte for byte; behind them come only lines that were sent, in
order, none half; the stream takes more; nothing is left over.  The run itself
ended by the kill that was injected, or well, or with 1 and a message.

    BUILD=build STRACE=all WEIR_SEED=7 tests/integration/test_strace.py

Without STRACE=all a sample of about 120 points is run, spread over all calls;
SOAK=SECONDS runs samples of other seeds until the time is over.  POINT=...
runs the one point of that name, as a failure prints it.
"""
import collections
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from weir_box import Bad, Box, line

# What the programs call, and how it can fail.  A lie is a short write of
# which nothing was written: what was acknowledged on top of it can be lost,
# but never be shown wrong.
WRITE = "EIO ENOSPC EDQUOT EINTR lie"
MAKE = "EIO ENOSPC EDQUOT EACCES EROFS"
FAILURES = {
    "openat": "EIO EMFILE ENFILE EACCES ENOSPC ENOMEM EINTR",
    "pwritev": WRITE + " EFBIG EAGAIN",
    "pwrite64": WRITE + " EFBIG EAGAIN",
    "writev": WRITE + " EFBIG",
    "fdatasync": "EIO ENOSPC EDQUOT EINTR",
    "fsync": "EIO ENOSPC EDQUOT EINTR",
    "linkat": MAKE + " EEXIST",
    "renameat": MAKE, "renameat2": MAKE + " EINVAL ENOSYS",
    "mkdir": MAKE, "mkdirat": MAKE + " EMLINK",
    "fallocate": "EIO ENOSPC EFBIG EINTR EOPNOTSUPP",
    "ftruncate": "EIO EFBIG EINTR",
    "unlink": "EIO EACCES", "unlinkat": "EIO EACCES EROFS",
    "pread64": "EIO EINTR", "getdents64": "EIO ENOMEM",
    "newfstatat": "EIO ENOMEM", "flock": "ENOLCK EINTR EIO",
    "fcntl": "ENOLCK EINVAL", "access": "EACCES",
    "ppoll": "EINTR", "poll": "EINTR",
    "clone3": "EAGAIN", "clone": "EAGAIN", "mmap": "ENOMEM",
    "eventfd2": "EMFILE", "epoll_create1": "EMFILE", "signalfd4": "EMFILE",
    "timerfd_create": "ENFILE", "epoll_ctl": "ENOMEM",
}
# A kill between two of these is a kill at the second.
KILLS = {"openat", "pwritev", "pwrite64", "writev", "fdatasync", "fsync",
         "linkat", "renameat", "renameat2", "mkdirat", "fallocate",
         "ftruncate", "unlinkat", "ppoll"}
# The dynamic linker calls these too, and strace counts for each thread from 1;
# so only those on the store and the log are looked at.
BY_PATH = {"openat", "newfstatat", "pread64"}

Point = collections.namedtuple("Point", "scenario call k action")


# Scenarios: what is there before, and the run in which calls fail.

def append_new(box, prefix):
    return box.append(prefix, 120, 20)


def append_more(box, prefix):
    return box.append(prefix, 60, 20)


def flush(box, prefix):
    return box.run("flush", prefix=prefix)


def cat(box, prefix):
    done = box.run("cat", "s", prefix=prefix)
    want = [line(n) + "\n" for n in range(box.acked)]
    got = done.stdout.splitlines(keepends=True)
    if got != want and (done.returncode == 0 or
                        got[:-1] != want[:len(got)][:-1]):
        raise Bad(f"cat printed {len(got)} lines that were not sent so")
    return done


SCENARIOS = {f.__name__: f for f in (append_new, append_more, flush, cat)}


def trace(box, calls):
    """Options of strace for these calls, all by path or none."""
    paths = [box.path, f"{box.path}/store", f"{box.path}/wal"]
    by_path = [f"--trace-path={p}" for p in paths]
    return ["-e", "trace=" + ",".join(calls),
            *(by_path if set(calls) <= BY_PATH else [])]


def count(log):
    """(call, k) of the calls in a log, without the k at which the program's
    start has such a call."""
    counts = collections.Counter()
    found = set()
    start = {}
    main = None
    for line in open(log, encoding="utf-8", errors="replace"):
        match = re.match(r"(\d+) +(\w+)\((.*)", line)
        if match is None:
            continue
        thread, call, rest = match.groups()
        main = main or thread
        counts[thread, call] += 1
        if "weir-strace-" in rest or thread != main:
            main = "started"
        if main == thread and call not in BY_PATH:
            start[call] = counts[thread, call]
        else:
            found.add((call, counts[thread, call]))
    return {(call, k) for call, k in found if k > start.get(call, 0)}


class Sweep:
    def __init__(self, folder):
        self.folder = folder
        self.prepared = None
        self.passed = self.failed = self.number = 0
        self.ends = collections.Counter()

    def box(self, scenario):
        """A box as the scenario finds it."""
        path = os.path.join(self.folder, f"{self.number}")
        self.number += 1
        if scenario == "append_new":
            os.mkdir(path)
            return Box(path)
        if self.prepared is None:
            self.prepare()
        shutil.copytree(self.prepared.path, path)
        box = Box(path)
        box.acked = self.prepared.acked
        return box

    def prepare(self):
        """Some in objects, some in the log, which was not closed."""
        box = Box(os.path.join(self.folder, "prepared"))
        os.mkdir(box.path)
        box.append([], 60, 20)
        box.append(["strace", "-f", "-qq", "-o", "/dev/null",
                    "-e", "trace=pwritev",
                    "-e", "inject=pwritev:signal=SIGKILL:when=14"], 120, 7)
        if not 60 < box.acked < 180:
            raise Bad(f"the preparation ended at {box.acked}")
        box.acked = self.there(box)
        self.prepared = box

    def there(self, box):
        """How many records a box holds that is left as it is: the last group
        may be written, and its acknowledgement not be heard any more."""
        copy = os.path.join(self.folder, "copy")
        shutil.copytree(box.path, copy)
        done, count = Box(copy).stream()
        shutil.rmtree(copy)
        if done.returncode != 0 or not box.acked <= count <= box.acked + 7:
            raise Bad(f"{box.acked} acknowledged, {count} there: {done}")
        return count

    def calls(self, scenario):
        """(call, k) of each call that a thread of ours makes in a run."""
        found = set()
        for calls in (BY_PATH, FAILURES.keys() - BY_PATH):
            box = self.box(scenario)
            log = os.path.join(self.folder, "calls")
            done = SCENARIOS[scenario](
                box, ["strace", "-f", "-o", log, *trace(box, calls)])
            if done.returncode != 0:
                raise Bad(f"without a fault: {done}")
            found |= count(log)
            shutil.rmtree(box.path)
        return sorted(found)

    def points(self):
        for scenario in SCENARIOS:
            for call, k in self.calls(scenario):
                if call in KILLS:
                    yield Point(scenario, call, k, "kill")
                for failure in FAILURES[call].split():
                    yield Point(scenario, call, k, failure)

    def sample(self, points, rng):
        """For each call and scenario some kills, and some failures, spread
        over the calls of the run."""
        groups = collections.defaultdict(list)
        for p in points:
            groups[p.scenario, p.call, p.action == "kill"].append(p)
        for group in groups.values():
            n = min(len(group), 1 + len(group) // 60)
            step = len(group) / n
            for i in range(n):
                yield group[int(step * i + rng.random() * step)]

    def run(self, point):
        box = self.box(point.scenario)
        inject = (f"{point.call}:when={point.k}:" + {
            "kill": "signal=SIGKILL", "lie": "retval=512"}.get(
                point.action, f"error={point.action}"))
        try:
            try:
                done = SCENARIOS[point.scenario](box, [
                    "strace", "-f", "-qq", "-o", "/dev/null",
                    *trace(box, [point.call]), "-e", "inject=" + inject])
            except subprocess.TimeoutExpired:
                raise Bad("it hangs") from None
            self.check_end(point, box, done)
            if point.action == "lie":
                self.check_lie(box)
            else:
                box.check()
            self.passed += 1
        except (Bad, subprocess.TimeoutExpired) as bad:
            self.failed += 1
            print(f"FAILED: POINT={','.join(map(str, point))}: {bad}")
        shutil.rmtree(box.path)

    def check_end(self, point, box, done):
        code, text = done.returncode, done.stderr.strip()
        if os.environ.get("VERBOSE"):
            print(*point, "->", code, box.acked, text[:300], flush=True)
        self.ends["killed" if code == -signal.SIGKILL else
                  "well" if code == 0 else "with an error"] += 1
        if code == -signal.SIGKILL and point.action == "kill":
            return
        if code not in (0, 1):
            raise Bad(f"status {code}: {text[:300]}")
        if code == 0:
            if point.scenario.startswith("append") and point.action != "lie":
                want = {"append_new": 120}.get(point.scenario)
                if want is not None and box.acked != want:
                    raise Bad(f"it ended well after {box.acked} of {want}")
            return
        if not text.startswith("weir: ") or "WEIR_EBUG" in text:
            raise Bad(f"status 1 and this message: {text[:300]!r}")
        cause = (os.strerror(getattr(errno, point.action))
                 if hasattr(errno, point.action) else "")
        # A clone without memory is told in our words, a link that loses too.
        if cause not in text and point.call not in ("mmap", "linkat"):
            raise Bad(f"the message does not tell why: {text[:300]!r}")

    def check_lie(self, box):
        done, _ = box.stream()
        if done.returncode not in (0, 1):
            raise Bad(f"cat afterwards: {done.returncode}")
        if done.returncode == 1 and not done.stderr.startswith("weir: "):
            raise Bad(f"cat afterwards says {done.stderr[:300]!r}")


def can_trace():
    try:
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=openat",
             "-e", "inject=openat:error=EIO:when=9999", "true"],
            capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "strace is not installed"
    return done.stderr.strip() if done.returncode != 0 else None


def run(sweep):
    everything = os.environ.get("STRACE") == "all"
    soak = float(os.environ.get("SOAK", 0))
    seed = int(os.environ.get("WEIR_SEED", random.randrange(1 << 32)))
    begin = time.monotonic()

    if os.environ.get("POINT"):
        scenario, call, k, action = os.environ["POINT"].split(",")
        sweep.run(Point(scenario, call, int(k), action))
        return
    points = list(sweep.points())
    chosen = points
    print(f"{len(points)} points, WEIR_SEED={seed}", flush=True)
    while True:
        if not everything:
            chosen = list(sweep.sample(points, random.Random(seed)))
        for point in chosen:
            sweep.run(point)
            if soak and time.monotonic() - begin > soak:
                break
        seed += 1
        if time.monotonic() - begin >= soak:
            break


def main():
    why = can_trace()
    if why is not None:
        print(f"skipped: strace cannot trace here: {why}")
        print("0 passed, 0 failed")
        return 0
    with tempfile.TemporaryDirectory(prefix="weir-strace-") as folder:
        sweep = Sweep(folder)
        run(sweep)
    print(", ".join(f"{n} ended {how}" for how, n in sorted(sweep.ends.items())))
    print(f"{sweep.passed} passed, {sweep.failed} failed")
    return 0 if sweep.failed == 0 and sweep.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
