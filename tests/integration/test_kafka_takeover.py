#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Which weir-kafka takes over a dead one: several servers on one folder, and
programs that were killed or have closed, whose nodes stay listed.  Logs are
files by a path from where each server runs, as volumes are that can be attached
at any of them; a link there is the volume that is attached."""
import os
import shutil
import signal
import subprocess
import tempfile

from kafka_cluster import PARTITIONS, Node, kcat, leaders, share_is
from kafka_server import BUILD, Facts, wait_for

PROGRAMS = 70  # More than a server lists at a time.


class Cluster:
    """Servers by number, each with the volumes of `attached` beside its own."""

    def __init__(self, *numbers):
        self.folder = tempfile.mkdtemp(prefix="weir-takeover-")
        self.nodes = {}
        for n in numbers:
            at = f"{self.folder}/at-{n}"
            os.makedirs(f"{self.folder}/volume-{n}")
            os.mkdir(at)
            self.nodes[n] = Node(self.folder, n, at=at,
                                 wal=f"file:volume-{n}/wal?size=16MiB")
            self.attach(n, n)

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        for node in self.alive():
            node.end(signal.SIGKILL)
        for node in self.nodes.values():
            if failed:
                print(f"--- server {node.number}\n{node.text()}")
            node.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def attach(self, volume, number):
        os.symlink(f"{self.folder}/volume-{volume}",
                   f"{self.nodes[number].at}/volume-{volume}")

    def alive(self):
        return [n for n in self.nodes.values() if n.process is not None]

    def start(self):
        for node in self.nodes.values():
            node.start()
        # A topic, with something in each log.
        wait_for("all servers",
                 lambda: all(f"{len(self.nodes)} brokers" in
                             kcat("-L", at=self.address(n))
                             for n in self.alive()))
        first = self.alive()[0]
        kcat("-P", "-t", "topic", stdin=b"x\n", at=self.address(first))
        wait_for("each has its share", self.shared)
        for p in range(PARTITIONS):
            kcat("-P", "-t", "topic", "-p", str(p), stdin=b"kept\n",
                 at=self.address(first))

    def shared(self):
        return share_is("topic", [n.number for n in self.alive()],
                        self.alive())

    def read(self):
        return kcat("-C", "-t", "topic", "-o", "beginning", "-e", "-q",
                    at=self.address(self.alive()[0])).split()

    def expect_all_on_the_living(self):
        wait_for("all partitions on the living", self.shared)
        wait_for("all that was acknowledged", lambda:
                 self.read().count("kept") == PARTITIONS)

    @staticmethod
    def address(node):
        return f"127.0.0.1:{node.port}"

    def program(self, number, **more):
        """`weir append`: a node without a lease."""
        return subprocess.Popen(
            [str(BUILD / "weir"), "--store", f"dir:{self.folder}/store",
             "--wal", f"file:{self.folder}/program-{number}?size=16MiB",
             "-X", f"node_id={number}", "append", f"of-{number}"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, **more)

    def kill_program(self, number):
        """It has appended, so it is registered, and is killed."""
        process = self.program(number)
        process.stdin.write(b"line\n")
        process.stdin.flush()
        wait_for("the program's node", lambda: f"of-{number}" in self.streams())
        process.kill()
        process.wait()
        process.stdin.close()

    def streams(self):
        return subprocess.run(
            [str(BUILD / "weir"), "--store", f"dir:{self.folder}/store",
             "--wal", "mem:", "-X", "node_id=999", "ls"],
            capture_output=True, check=False, timeout=60).stdout.decode()


def a_killed_program_is_not_waited_for_to_take_over():
    """Its node has no lease, and is live for ever, with the smallest id."""
    with Cluster(2, 3, 4) as cluster:
        cluster.kill_program(1)
        cluster.attach(2, 3)
        cluster.attach(2, 4)
        cluster.start()
        cluster.nodes[2].end(signal.SIGKILL)
        cluster.expect_all_on_the_living()


def servers_behind_many_closed_nodes_are_seen():
    first = PROGRAMS + 1
    with Cluster(first, first + 1) as cluster:
        for number in range(1, PROGRAMS + 1):
            process = cluster.program(number)
            process.communicate(b"")
            assert process.returncode == 0, number
        cluster.attach(first, first + 1)
        cluster.start()
        cluster.nodes[first].end(signal.SIGKILL)
        cluster.expect_all_on_the_living()


def who_has_the_volume_takes_over():
    """The first of the living has no folder for it, the next one an empty
    one."""
    with Cluster(1, 2, 3, 4) as cluster:
        os.mkdir(f"{cluster.nodes[3].at}/volume-1")
        cluster.attach(1, 4)
        cluster.start()
        cluster.nodes[1].end(signal.SIGKILL)
        cluster.expect_all_on_the_living()
        assert "took over server 1" in cluster.nodes[4].text()
        assert not os.listdir(f"{cluster.nodes[3].at}/volume-1")


def of_two_dead_one_does_not_hinder_the_other():
    """Nobody has the volume of the first; then it is attached."""
    with Cluster(1, 2, 3) as cluster:
        cluster.attach(2, 3)
        cluster.start()
        cluster.nodes[1].end(signal.SIGKILL)
        cluster.nodes[2].end(signal.SIGKILL)
        wait_for("the partitions of the one that can be taken over",
                 lambda: 2 not in leaders(cluster.nodes[3], "topic"))
        assert 1 in leaders(cluster.nodes[3], "topic")
        cluster.attach(1, 3)
        cluster.expect_all_on_the_living()


def main():
    facts = Facts()
    facts.prove(a_killed_program_is_not_waited_for_to_take_over)
    facts.prove(servers_behind_many_closed_nodes_are_seen)
    facts.prove(who_has_the_volume_takes_over)
    facts.prove(of_two_dead_one_does_not_hinder_the_other)
    facts.end()


if __name__ == "__main__":
    os.environ.pop("KCAT_CONFIG", None)
    main()
