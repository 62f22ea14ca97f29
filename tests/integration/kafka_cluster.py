# SPDX-License-Identifier: Apache-2.0
"""What the tests of several weir-kafka on one store share."""
import os
import re
import subprocess

from kafka_server import PATIENCE, PROGRAM

PARTITIONS = 6
LEASE_S = 2
BUCKET = os.environ.get("WEIR_TEST_S3")


class Node:
    """A server of the cluster."""

    def __init__(self, folder, number, wal=None, at=None):
        """`wal`: its log, if not a file in `folder`; `at`: where it runs."""
        self.folder = folder
        self.number = number
        self.wal = wal or f"file:{folder}/wal-{number}?size=64MiB"
        self.at = at
        self.port = 0
        self.process = None
        self.log = open(f"{folder}/log-{number}", "ab")

    def start(self):
        self.process = subprocess.Popen(
            [str(PROGRAM), "--store", BUCKET or f"dir:{self.folder}/store",
             "--wal", "object:" if BUCKET else self.wal,
             "-X", f"node_id={self.number}", "-X", f"lease={LEASE_S}s",
             "-X", f"num.partitions={PARTITIONS}",
             "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE, stderr=self.log, cwd=self.at)
        line = self.process.stdout.readline().decode()
        if "listening on" not in line:
            raise RuntimeError(self.text())
        self.port = int(line.rsplit(":", 1)[1])

    def text(self):
        with open(f"{self.folder}/log-{self.number}", errors="replace") as log:
            return log.read()[-2000:]

    def end(self, number):
        """End by a signal; the exit status."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return status


def kcat(*args, at, stdin=None):
    """kcat's output.  `at`: servers, HOST:PORT with commas between."""
    return subprocess.run(
        ["kcat", "-b", at, *args], input=stdin, capture_output=True,
        timeout=PATIENCE, check=True).stdout.decode()


def leaders(node, topic):
    """Leader of each partition, as one server tells it."""
    out = kcat("-L", "-t", topic, at=f"127.0.0.1:{node.port}")
    return [int(leader) for leader in
            re.findall(r"partition \d+, leader (-?\d+)", out)]


def share_is(topic, ids, nodes):
    """All of `nodes` tell the same, and each server has its share."""
    seen = [leaders(node, topic) for node in nodes]
    return all(s == seen[0] for s in seen) and len(seen[0]) == PARTITIONS \
        and sorted(set(seen[0])) == sorted(ids) \
        and all(seen[0].count(i) - PARTITIONS // len(ids) in
                (0, PARTITIONS % len(ids) > 0) for i in ids)
