#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Several weir-kafka on one store, and kcat: topics and partitions are seen by
all, and move when a server is killed, stopped or added, while new producers
come, and while one producer and one consumer go on.  The store is a directory,
and each server has a log in a file; or it is WEIR_TEST_S3, and the logs are in
the bucket."""
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time

import kafka_cluster
from kafka_cluster import BUCKET, LEASE_S, Node, leaders
from kafka_server import (PATIENCE, Client, Facts, batch, frame, produce,
                          produce_result, string, wait_for)

NOT_LEADER = 6

folder = tempfile.mkdtemp(prefix="weir-cluster-")
nodes = {n: Node(folder, n) for n in (1, 2, 3)}


def alive():
    return [n for n in nodes.values() if n.process is not None]


def brokers():
    return ",".join(f"127.0.0.1:{n.port}" for n in nodes.values() if n.port)


def kcat(*args, stdin=None, at=None):
    return kafka_cluster.kcat(*args, stdin=stdin, at=at or brokers())


def share_is(topic, ids):
    return kafka_cluster.share_is(topic, ids, alive())


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


class Feed:
    """One kcat that produces numbers, one to a line, until it is told to end.
    It reports what could not be delivered, and its exit status tells whether
    all was."""

    def __init__(self, topic):
        self.sent = 0
        self.over = threading.Event()
        self.log = open(f"{folder}/producer", "w+b")
        self.process = subprocess.Popen(
            ["kcat", "-P", "-b", brokers(), "-t", topic, "-E",
             "-X", "enable.idempotence=true", "-X", "linger.ms=5",
             "-X", "message.timeout.ms=120000"],
            stdin=subprocess.PIPE, stderr=self.log)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            try:
                self.process.stdin.write(b"%d\n" % self.sent)
                self.process.stdin.flush()
            except BrokenPipeError:
                return
            self.sent += 1
            time.sleep(0.002)

    def end(self):
        """All that was sent is delivered; the exit status."""
        self.over.set()
        self.thread.join()
        try:
            self.process.communicate(timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode

    def told(self):
        self.log.seek(0)
        return self.log.read().decode()


class Follower(threading.Thread):
    """One kcat that consumes a topic from its beginning, and goes on."""

    def __init__(self, topic):
        super().__init__()
        self.rows = []  # (partition, offset, number)
        self.process = subprocess.Popen(
            ["kcat", "-C", "-b", brokers(), "-t", topic, "-o", "beginning",
             "-E", "-q", "-u", "-f", "%p %o %s\\n"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.start()

    def run(self):
        for line in self.process.stdout:
            self.rows.append(tuple(int(word) for word in line.split()))

    def end(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.join()
        self.process.stdout.close()

    def goes_on(self):
        """What was sent after now comes, in all partitions."""
        first = len(self.rows)
        wait_for("consuming goes on, in all partitions",
                 lambda: len({row[0] for row in self.rows[first:]})
                 == kafka_cluster.PARTITIONS)


def one_producer_and_one_consumer_go_on():
    topic = "on"
    kcat("-L", "-t", topic)  # Creates it.
    wait_for_shares(topic)
    follower = Follower(topic)
    feed = Feed(topic)
    try:
        follower.goes_on()
        nodes[2].end(signal.SIGKILL)
        wait_for("the dead one's partitions on the others",
                 lambda: share_is(topic, [1, 3]))
        follower.goes_on()
        assert nodes[1].end(signal.SIGTERM) == 0
        wait_for("all on the last", lambda: share_is(topic, [3]))
        follower.goes_on()
        nodes[4] = Node(folder, 4)
        nodes[4].start()
        wait_for_shares(topic)
        follower.goes_on()
        status = feed.end()
        assert status == 0, f"kcat -P: {status}\n{feed.told()}"
        wait_for(f"all of {feed.sent}",
                 lambda: len(follower.rows) >= feed.sent)
        assert follower.process.poll() is None
    finally:
        if feed.process.returncode is None:
            feed.end()
        follower.end()
        feed.log.close()
    assert sorted(row[2] for row in follower.rows) == list(range(feed.sent)), \
        "some were lost, or came twice"
    for p in range(kafka_cluster.PARTITIONS):
        rows = [row[1:] for row in follower.rows if row[0] == p]
        assert [offset for offset, _ in rows] == list(range(len(rows)))
        assert rows == sorted(rows, key=lambda row: row[1]), "not in order"
    print(f"  {feed.sent} sent, delivered and consumed")


def main():
    facts = Facts()
    try:
        facts.prove(all_see_a_topic_that_one_has_created)
        facts.prove(nothing_is_lost_while_servers_are_killed_stopped_and_added)
        facts.prove(a_partition_takes_what_was_under_way_along_when_it_leaves)
        facts.prove(a_server_that_slept_through_its_lease_is_one_of_them_again)
        facts.prove(a_topic_deleted_on_one_is_gone_on_all)
        facts.prove(one_producer_and_one_consumer_go_on)  # Leaves two servers.
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
