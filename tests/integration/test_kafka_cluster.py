#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several weir-kafka on one store, and kcat: topics and partitions are seen by
all, and move when a server is killed, stopped or added, while a producer and a
consumer go on.  The store is a directory, and each server has a log in a file;
or it is WEIR_TEST_S3, and the logs are in the bucket."""
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

from kafka_server import (PROGRAM, Client, Facts, batch, frame, produce,
                          produce_result, string)

PARTITIONS = 6
LEASE_S = 2
BUCKET = os.environ.get("WEIR_TEST_S3")
NOT_LEADER = 6
PATIENCE = 60  # Seconds until something that must come is given up.


class Node:
    """A server of the cluster."""

    def __init__(self, folder, number):
        self.folder = folder
        self.number = number
        self.port = 0
        self.process = None
        self.log = open(f"{folder}/log-{number}", "ab")

    def start(self):
        wal = f"file:{self.folder}/wal-{self.number}?size=64MiB"
        self.process = subprocess.Popen(
            [str(PROGRAM), "--store", BUCKET or f"dir:{self.folder}/store",
             "--wal", "object:" if BUCKET else wal, "-X", f"node_id={self.number}", "-X", f"lease={LEASE_S}s",
             "-X", f"num.partitions={PARTITIONS}",
             "--listen", f"127.0.0.1:{self.port}"],
            stdout=subprocess.PIPE, stderr=self.log)
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


folder = tempfile.mkdtemp(prefix="weir-cluster-")
nodes = {n: Node(folder, n) for n in (1, 2, 3)}


def alive():
    return [n for n in nodes.values() if n.process is not None]


def brokers():
    return ",".join(f"127.0.0.1:{n.port}" for n in nodes.values() if n.port)


def kcat(*args, stdin=None, at=None):
    return subprocess.run(
        ["kcat", "-b", at or brokers(), *args], input=stdin,
        capture_output=True, timeout=PATIENCE, check=True).stdout.decode()


def leaders(node, topic):
    """Leader of each partition, as one server tells it."""
    out = kcat("-L", "-t", topic, at=f"127.0.0.1:{node.port}")
    return [int(leader) for leader in
            re.findall(r"partition \d+, leader (-?\d+)", out)]


def wait_for(what, holds):
    until = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(what)
        time.sleep(0.1)


def share_is(topic, ids):
    """All servers tell the same, and each has its share."""
    seen = [leaders(node, topic) for node in alive()]
    return all(s == seen[0] for s in seen) and len(seen[0]) == PARTITIONS \
        and sorted(set(seen[0])) == sorted(ids) \
        and all(seen[0].count(i) == PARTITIONS // len(ids) for i in ids)


def all_see_a_topic_that_one_has_created():
    for node in nodes.values():
        node.start()
    wait_for("three servers",
             lambda: all("3 brokers" in kcat("-L", at=f"127.0.0.1:{n.port}")
                         for n in alive()))
    kcat("-P", "-t", "first", stdin=b"x\n", at=f"127.0.0.1:{nodes[2].port}")
    wait_for("the topic everywhere, two partitions each",
             lambda: share_is("first", [1, 2, 3]))


class Producer(threading.Thread):
    """Sends numbers, a hundred at a time, and notes those that kcat says are
    delivered."""

    def __init__(self, topic):
        super().__init__()
        self.topic = topic
        self.told = []
        self.over = threading.Event()
        self.failed = 0

    def run(self):
        at = 0
        while not self.over.is_set():
            numbers = [str(at + i) for i in range(100)]
            at += 100
            try:
                kcat("-P", "-t", self.topic, "-X", "enable.idempotence=true",
                     "-X", "message.timeout.ms=40000",
                     stdin="\n".join(numbers).encode())
                self.told += numbers
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                self.failed += 1


def read_all(topic):
    return kcat("-C", "-t", topic, "-o", "beginning", "-e", "-q").split()


def nothing_is_lost_while_servers_are_killed_stopped_and_added():
    producer = Producer("moving")
    producer.start()
    try:
        wait_for("a beginning", lambda: len(producer.told) >= 200)
        nodes[2].end(signal.SIGKILL)
        wait_for("the dead one's partitions on the others",
                 lambda: share_is("moving", [1, 3]))
        before = len(producer.told)
        wait_for("producing goes on",
                 lambda: len(producer.told) >= before + 200)
        status = nodes[1].end(signal.SIGTERM)
        assert status == 0, status
        wait_for("all on the last", lambda: share_is("moving", [3]))
        before = len(producer.told)
        wait_for("producing goes on",
                 lambda: len(producer.told) >= before + 200)
        nodes[1].start()
        nodes[2].start()
        wait_for("each has its share again",
                 lambda: share_is("moving", [1, 2, 3]))
        before = len(producer.told)
        wait_for("producing goes on",
                 lambda: len(producer.told) >= before + 200)
    finally:
        producer.over.set()
        producer.join()
    read = read_all("moving")
    lost = set(producer.told) - set(read)
    assert not lost, f"{len(lost)} of {len(producer.told)} lost"
    assert len(read) == len(set(read)) or producer.failed, "some came twice"
    print(f"  {len(producer.told)} delivered, {len(read)} read, "
          f"{producer.failed} of kcat's runs failed")


def wait_for_shares(topic):
    wait_for("each has its share",
             lambda: share_is(topic, [n.number for n in alive()]))


def retry_at_its_leader(topic, partition, batches):
    """Send the batches again to who leads now, until it does; (error, offset)
    of each."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        at = leaders(alive()[0], topic.decode())[partition]
        if nodes[at] in alive():
            with Client(nodes[at]) as client:
                told = [produce_result(client.ask(
                    produce(topic, b, partition=partition)), topic)
                        for b in batches]
            if all(error != NOT_LEADER for error, _ in told):
                return told
        time.sleep(0.1)
    raise AssertionError("no leader")


def a_partition_takes_what_was_under_way_along_when_it_leaves():
    """Five batches of an idempotent producer are sent, and its server is told
    to stop when it has answered the first.  Sent again, each is known."""
    topic = b"along"
    kcat("-P", "-t", topic.decode(), stdin=b"x\n")
    wait_for_shares(topic.decode())
    for turn, node in enumerate([*nodes.values()] * 2):
        partition = leaders(node, topic.decode()).index(node.number)
        batches = [batch(b"x" * 300000, 1 << 40, turn, i) for i in range(5)]
        told = []
        with Client(node) as client:
            client.send(b"".join(produce(topic, b, partition=partition)
                                 for b in batches))
            told.append(produce_result(client.receive()[1], topic))
            node.process.send_signal(signal.SIGTERM)
            try:
                while True:
                    told.append(produce_result(client.receive()[1], topic))
            except ConnectionError:
                pass
        assert node.ended() == 0
        again = retry_at_its_leader(topic, partition, batches)
        assert [error for error, _ in again] == [0] * 5, (told, again)
        for (error, first), (_, second) in zip(told, again):
            assert error != 0 or first == second, (told, again)
        assert [o - again[0][1] for _, o in again] == [0, 1, 2, 3, 4], again
        node.start()
        wait_for_shares(topic.decode())


def a_server_that_slept_through_its_lease_is_one_of_them_again():
    """SIGSTOP.  Its log in a file is not free while the process lives: it keeps
    its partitions.  A log in the bucket is taken over: what then wakes up is
    fenced, and ends."""
    nodes[3].process.send_signal(signal.SIGSTOP)
    if BUCKET:
        wait_for("the sleeper's partitions on the others",
                 lambda: all(3 not in leaders(nodes[n], "moving")
                             for n in (1, 2)))
        nodes[3].process.send_signal(signal.SIGCONT)
        assert nodes[3].process.wait(PATIENCE) == 1
        text = nodes[3].text()  # The second if it was writing.
        assert "WEIR_EFENCED" in text or "by a later epoch" in text, text
        nodes[3].process.stdout.close()
        nodes[3].start()
    else:
        time.sleep(2.5 * LEASE_S)  # Nothing is to happen.
        nodes[3].process.send_signal(signal.SIGCONT)
    wait_for("each has its share",
             lambda: share_is("moving", [1, 2, 3]))
    kcat("-P", "-t", "moving", "-X", "message.timeout.ms=40000",
         stdin=b"after\n")
    assert "after" in read_all("moving")


def a_topic_deleted_on_one_is_gone_on_all():
    # kcat cannot delete: a request of version 1, to the first server.
    with Client(nodes[1]) as client:
        client.ask(frame(20, 1, struct.pack(">i", 1) + string(b"first")
                         + struct.pack(">i", 10000)))
    wait_for("gone everywhere",
             lambda: all('topic "first"' not in
                         kcat("-L", at=f"127.0.0.1:{n.port}")
                         for n in alive()))


def main():
    facts = Facts()
    try:
        facts.prove(all_see_a_topic_that_one_has_created)
        facts.prove(nothing_is_lost_while_servers_are_killed_stopped_and_added)
        facts.prove(a_partition_takes_what_was_under_way_along_when_it_leaves)
        facts.prove(a_server_that_slept_through_its_lease_is_one_of_them_again)
        facts.prove(a_topic_deleted_on_one_is_gone_on_all)
    finally:
        for node in alive():
            node.end(signal.SIGKILL)
        for node in nodes.values():
            if facts.failed:
                print(f"--- server {node.number}\n{node.text()}")
            node.log.close()
        shutil.rmtree(folder, ignore_errors=True)
    facts.end()


if __name__ == "__main__":
    os.environ.pop("KCAT_CONFIG", None)
    main()
