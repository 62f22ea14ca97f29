#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir and weir-kafka where there is no room: on a full disk, and with no
descriptors left.  Nothing that was acknowledged is lost, no program dies or
hangs, and all goes on when there is room again.

    BUILD=build tests/integration/test_limits.py

The full disks need root (a tmpfs in a mount namespace of its own); that part
says so and does nothing otherwise.
"""
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

import kafka_server
import weir_box
from kafka_server import Facts, Server
from weir_box import Bad, Box

NO_SPACE = "No space left on device"
FACTS = Facts()


class Tmpfs:
    """A file system of so many MiB, of which some are taken at first."""

    def __init__(self, size, taken=0.0):
        self.at = tempfile.mkdtemp(prefix="weir-full-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}m", "none",
                        self.at], check=True)
        self.filler = os.path.join(self.at, ".filler")
        if taken:
            with open(self.filler, "wb") as file:
                file.write(bytes(int(taken * (1 << 20))))

    def __enter__(self):
        return self

    def free(self):
        os.unlink(self.filler)

    def __exit__(self, *_):
        subprocess.run(["umount", "--lazy", self.at], check=True)
        os.rmdir(self.at)


def folder():
    return tempfile.TemporaryDirectory(prefix="weir-limits-")


def expect(fact, text):
    if not fact:
        raise Bad(text)


# ---- A full disk -------------------------------------------------------------

def a_log_that_does_not_fit_is_not_made():
    with folder() as store, Tmpfs(4) as disk:
        box = Box(disk.at, f"{store}/store", wal_size="8MiB")
        done = box.append([], 5, 5)
        expect(done.returncode == 1 and NO_SPACE in done.stderr and
               f"{disk.at}/wal" in done.stderr, str(done))
        expect(os.listdir(disk.at) == [], f"left: {os.listdir(disk.at)}")
        box = Box(disk.at, f"{store}/store", wal_size="2MiB")
        expect(box.append([], 5, 5).returncode == 0, "a smaller one fits")
        box.check()


def a_store_that_is_full_from_the_beginning_is_told():
    with folder() as path, Tmpfs(1, 1) as disk:
        box = Box(path, f"{disk.at}/store")
        done = box.append([], 5, 5)
        expect(done.returncode == 1 and NO_SPACE in done.stderr, str(done))
        disk.free()
        expect(box.append([], 5, 5).returncode == 0, "there is room")
        box.check()


def send(process, first, count):
    try:
        for n in range(first, first + count):
            process.stdin.write(weir_box.line(n) + "\n")
        process.stdin.close()
    except BrokenPipeError:
        pass


def a_full_store_holds_up_and_loses_nothing():
    count = 14000  # More than the log and the disk can hold at first.
    with folder() as path, Tmpfs(8, 7.5) as disk, \
            tempfile.TemporaryFile("w+") as errors:
        box = Box(path, f"{disk.at}/store")
        weir_box.line, plain = hard_line, weir_box.line
        try:
            with box.start(errors) as process:
                sender = threading.Thread(target=send, args=(process, 0, count))
                sender.start()
                answers = threading.Thread(target=lambda: [
                    box.acknowledge(a) for a in process.stdout])
                answers.start()
                wait_until_still(box)
                held = box.acked
                disk.free()
                answers.join(60)
                sender.join(60)
                process.stdin = None
                code = process.wait(30)
            errors.seek(0)
            text = errors.read()
            expect(NO_SPACE in text, f"it says nothing: {text[:300]!r}")
            expect(0 < held < count, f"{held} of {count} before there is room")
            expect(code == 0 and box.acked == count,
                   f"then {code}, {box.acked} of {count}: {text[-300:]!r}")
            box.check()
        finally:
            weir_box.line = plain


def hard_line(n):
    """One that does not compress."""
    return f"{n} " + random.Random(n).randbytes(150).hex()


def wait_until_still(box):
    """Until nothing has been acknowledged for a second."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 1:
        if box.acked != last:
            last, since = box.acked, time.monotonic()
        time.sleep(0.05)


def a_store_that_fills_up_does_not_keep_a_program_from_ending():
    with folder() as path, Tmpfs(8, 7.9) as disk:
        box = Box(path, f"{disk.at}/store")
        weir_box.line, plain = hard_line, weir_box.line
        try:
            done = box.append([], 2000, 500)
            expect(done.returncode in (0, 1), str(done))
            expect(done.returncode == 0 or NO_SPACE in done.stderr, str(done))
            expect(box.acked == 2000, f"{box.acked} acknowledged")
            done = box.run("cat", "s")
            expect(done.returncode == 0 or NO_SPACE in done.stderr, str(done))
            disk.free()
            box.check()
        finally:
            weir_box.line = plain


# ---- No descriptors left -----------------------------------------------------

def few_descriptors_are_an_error_and_no_loss():
    """Or it waits for more, and says so: then it is killed."""
    well = 0
    with folder() as path:
        box = Box(path)
        for limit in (6, 7, 9, 11, 12, 13, 14, 16, 20):
            done = box.append(["timeout", "-s", "KILL", "4", "bash", "-c",
                               f'ulimit -n {limit}; exec "$@"', "-"], 20, 5)
            expect(done.returncode == 0 or
                   "Too many open files" in done.stderr and
                   (done.returncode == 1 or "trying again" in done.stderr),
                   f"{limit}: {done}")
            well += done.returncode == 0
            box.check()
    expect(well >= 4, f"only {well} were well")


def a_server_without_descriptors_serves_who_is_there():
    """Who comes then waits, or is turned away; and is served when others have
    gone."""
    server = Server(before=["bash", "-c", 'ulimit -n 48; exec "$@"', "-"])
    try:
        first = kafka_ask(connect(server))
        crowd = [connect(server) for _ in range(100)]
        time.sleep(0.5)
        expect(server.alive(), "the server ended")
        kafka_ask(first)
        busy = cpu_seconds(server)
        time.sleep(1)
        expect(cpu_seconds(server) - busy < 0.5, "it spins at accept")
        for one in crowd:
            one.close()
        kafka_ask(connect(server))
        kafka_ask(first)
        expect(server.stop() == 0, "it does not end well: " + server.text())
    finally:
        server.remove()


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), 30)


def kafka_ask(link):
    """ApiVersions, and its answer."""
    link.settimeout(30)
    body = (18).to_bytes(2, "big") + bytes(2) + (7).to_bytes(4, "big") + \
        kafka_server.string(b"t")
    link.sendall(len(body).to_bytes(4, "big") + body)
    answer = link.recv(8, socket.MSG_WAITALL)
    expect(len(answer) == 8 and answer[4:] == (7).to_bytes(4, "big"),
           f"answered {answer!r}")
    link.recv(int.from_bytes(answer[:4], "big") - 4, socket.MSG_WAITALL)
    return link


def cpu_seconds(server):
    with open(f"/proc/{server.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    can_mount = os.geteuid() == 0 and subprocess.run(
        ["unshare", "--mount", "true"], check=False).returncode == 0
    # Mounts that nobody else sees, and that go with this process.
    if can_mount and "--inside" not in sys.argv:
        os.execvp("unshare", ["unshare", "--mount", "--propagation",
                              "private", sys.argv[0], "--inside"])
    if can_mount:
        FACTS.prove(a_log_that_does_not_fit_is_not_made)
        FACTS.prove(a_store_that_is_full_from_the_beginning_is_told)
        FACTS.prove(a_full_store_holds_up_and_loses_nothing)
        FACTS.prove(a_store_that_fills_up_does_not_keep_a_program_from_ending)
    else:
        print("skipped: full disks: a mount of its own takes root")
    FACTS.prove(few_descriptors_are_an_error_and_no_loss)
    FACTS.prove(a_server_without_descriptors_serves_who_is_there)
    FACTS.end()


if __name__ == "__main__":
    main()
