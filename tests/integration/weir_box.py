# SPDX-License-Identifier: Apache-2.0
"""A store, its log, and the one stream in it, for tests that break them.

The stream's n-th record is line(n).  A Box knows how many were acknowledged,
and can look whether the stream holds to that.
"""
import json
import os
import subprocess
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.path.realpath(os.environ.get("BUILD", os.path.join(ROOT, "build")))
WEIR = os.path.join(BUILD, "weir")
LIMIT = 60


def line(n):
    return f"{n} {'x' * (n * 37 % 301)} {n * n}"


class Bad(Exception):
    """What was promised does not hold."""


class Box:
    def __init__(self, path, store=None, wal_size="2MiB"):
        self.path = path
        self.store = store or f"{path}/store"
        self.acked = 0
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith("WEIR_")}
        self.env["WEIR_STORE"] = f"dir:{self.store}"
        self.env["WEIR_WAL"] = f"file:{path}/wal?size={wal_size}"

    def command(self, *args):
        return [WEIR, "-X", "workers=1", "-X", "upload_bytes=4KiB",
                "-X", "upload_interval=20ms", *args]

    def run(self, *args, prefix=(), stdin=""):
        return subprocess.run([*prefix, *self.command(*args)], env=self.env,
                              input=stdin, capture_output=True, text=True,
                              timeout=LIMIT, check=False)

    def append(self, prefix, count, step):
        """Send `count` lines, `step` at a time, each after the answers to
        those before it, so that each has a write of its own."""
        with tempfile.TemporaryFile("w+") as errors:
            with self.start(errors, prefix) as process:
                try:
                    self.feed(process, count, step)
                    process.stdin.close()
                except BrokenPipeError:
                    pass
                for answer in process.stdout:
                    self.acknowledge(answer)
                process.stdin = None
                code = process.wait(LIMIT)
            errors.seek(0)
            return subprocess.CompletedProcess([], code, "", errors.read())

    def start(self, errors, prefix=()):
        """weir append, to be fed."""
        return subprocess.Popen(
            [*prefix, *self.command("append", "s", "--ack")], env=self.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            text=True)

    def feed(self, process, count, step):
        end = self.acked + count
        while self.acked < end:
            want = min(self.acked + step, end)
            for n in range(self.acked, want):
                process.stdin.write(line(n) + "\n")
            process.stdin.flush()
            while self.acked < want:
                if not self.acknowledge(process.stdout.readline()):
                    return

    def acknowledge(self, answer):
        if not answer.endswith("\n"):
            return False  # The end, perhaps in the middle of a number.
        if int(answer) != self.acked:
            raise Bad(f"offset {answer.strip()} acknowledged, "
                      f"{self.acked} is next")
        self.acked += 1
        return True

    def stream(self):
        """What a plain cat shows: its exit, and how many records.  No record
        is other than was sent."""
        done = self.run("cat", "s", "--json")
        rows = [json.loads(row) for row in done.stdout.splitlines()]
        for n, row in enumerate(rows):
            if row["offset"] != n or row["data"] != line(n):
                raise Bad(f"record {n} is not what was sent: {row}")
        return done, len(rows)

    def check(self):
        """All that was acknowledged is there, and the stream takes more."""
        done, count = self.stream()
        if done.returncode != 0 and not (self.acked == 0 and (
                "no such stream" in done.stderr or
                "No such file or directory" in done.stderr)):
            raise Bad(f"cat afterwards: {done.returncode} "
                      f"{done.stderr.strip()[:400]}")
        if count < self.acked:
            raise Bad(f"{self.acked} acknowledged, {count} there")
        self.acked = count
        done = self.append([], 2, 2)
        if done.returncode != 0 or self.acked != count + 2:
            raise Bad(f"append afterwards: {done.returncode} "
                      f"{done.stderr.strip()[:400]}")
        rest = os.listdir(os.path.join(self.store, ".tmp"))
        if rest:
            raise Bad(f"left over: {rest}")
        rest = set(os.listdir(self.path)) - {"store", "wal", "lost+found"}
        if rest:
            raise Bad(f"left over: {rest}")
