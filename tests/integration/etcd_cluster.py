#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The manifest on a real etcd of three members, whose leader is stopped, is
killed, and comes back; and on one that wants TLS and a password.  `make
test-etcd` installs what it needs and runs it."""
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import urllib.request

from kafka_server import (BUILD, PATIENCE, PROGRAM, Client, Facts, frame,
                          string, wait_for)

WEIR = str(BUILD / "weir")
folder = tempfile.mkdtemp(prefix="weir-etcd-")
clean = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
clean["ETCDCTL_API"] = "3"


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Member:
    """One etcd."""

    def __init__(self, name, client, peer, cluster, *options):
        scheme = "https" if "--cert-file" in options else "http"
        self.endpoint = f"127.0.0.1:{client}"
        self.command = [
            "etcd", "--name", name, "--data-dir", f"{folder}/{name}",
            "--listen-client-urls", f"{scheme}://{self.endpoint}",
            "--advertise-client-urls", f"{scheme}://{self.endpoint}",
            "--listen-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
            "--initial-cluster", cluster, "--initial-cluster-token", "weir",
            "--heartbeat-interval", "50", "--election-timeout", "500",
            *options]
        self.name = name
        self.process = None

    def start(self):
        with open(f"{folder}/{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log,
                                            stderr=log, env=clean)

    def send(self, number):
        self.process.send_signal(number)

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(PATIENCE)


def make_members():
    ports = free_ports(6)
    names = ["one", "two", "three"]
    cluster = ",".join(f"{n}=http://127.0.0.1:{p}"
                       for n, p in zip(names, ports[3:]))
    return [Member(n, c, p, cluster)
            for n, c, p in zip(names, ports[:3], ports[3:])]


members = make_members()
URI = "etcd://" + ",".join(m.endpoint for m in members)


def etcdctl(*args, endpoints=None, env=clean):
    return subprocess.run(
        ["etcdctl", "--endpoints",
         endpoints or ",".join(m.endpoint for m in members), *args],
        env=env, capture_output=True, text=True, timeout=PATIENCE,
        check=False)


def leader():
    for member in members:
        out = etcdctl("endpoint", "status", "-w", "simple",
                      endpoints=member.endpoint).stdout
        if re.split(r", ", out.strip())[4:5] == ["true"]:
            return member
    return None


def weir(*args, stdin="", uri=URI, extra=()):
    """The output of the command line program; it must succeed."""
    done = subprocess.run(
        [WEIR, "--store", f"dir:{folder}/store", "--wal",
         f"file:{folder}/wal?size=16MiB", "--manifest", f"{uri}/weir", *extra,
         *args], input=stdin, env=clean, capture_output=True, text=True,
        timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- Facts -------------------------------------------------------------------

def the_conformance_suite_passes():
    subprocess.run([str(BUILD / "tests/conformance/test_mlog")],
                   env={**clean, "WEIR_TEST_ETCD": URI}, check=True,
                   timeout=PATIENCE, capture_output=True)


def a_node_keeps_its_manifest_in_etcd_and_its_data_in_a_folder():
    lines = "".join(f"{i}\n" for i in range(1000))
    weir("append", "a", stdin=lines)
    assert weir("cat", "a") == lines
    assert not os.path.exists(f"{folder}/store/manifest")
    assert "node_open" in weir("dump", "manifest")


def nothing_is_lost_while_the_leader_is_stopped_and_killed():
    stopped = killed = None
    for i in range(24):
        if i == 6:
            stopped = leader()
            stopped.send(signal.SIGSTOP)
        if i == 12:
            stopped.send(signal.SIGCONT)
        if i == 15:
            killed = leader() or members[0]
            killed.end()
        if i == 20:
            killed.start()
        weir("append", f"s{i}", stdin=f"record of {i}\n")
    for i in range(24):
        assert weir("cat", f"s{i}") == f"record of {i}\n", i


def ranges(urls, context):
    """Reads that these members were asked for so far, by all."""
    total = 0
    for url in urls:
        with urllib.request.urlopen(f"{url}/metrics", timeout=PATIENCE,
                                    context=context) as answer:
            for line in answer.read().decode().splitlines():
                if (line.startswith("grpc_server_handled_total")
                        and 'grpc_method="Range"' in line):
                    total += int(float(line.split()[-1]))
    return total


def asks_no_more(urls=None, context=None):
    """For two seconds, in which a reader that asks would ask eight times."""
    urls = urls or [f"http://{m.endpoint}" for m in members]
    before = ranges(urls, context)
    time.sleep(2)
    return ranges(urls, context) - before < 3


class Reader:
    """weir cat --follow: what it has printed."""

    def __init__(self, stream, store="store", uri=f"{URI}/weir", extra=()):
        self.path = f"{folder}/{store}-{stream}.out"
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(
                [WEIR, "--store", f"dir:{folder}/{store}", "--manifest", uri,
                 *extra, "-X", "read_only=true", "cat", "--follow", stream],
                stdout=out, env=clean)

    def has(self, text):
        with open(self.path, encoding="ascii") as out:
            return out.read() == text

    def end(self):
        self.process.kill()
        self.process.wait(PATIENCE)


def add(stream, line):
    """Append a line, and upload it."""
    weir("append", stream, stdin=line)
    weir("flush")


def what_others_commit_is_told_and_not_asked_for():
    add("told", "1\n")
    reader = Reader("told")
    try:
        wait_for("the first line", lambda: reader.has("1\n"))
        wait_for("a reader that does not ask", asks_no_more)
        add("told", "2\n")
        wait_for("the second line", lambda: reader.has("1\n2\n"))
        stopped = leader()
        stopped.send(signal.SIGSTOP)
        add("told", "3\n")
        wait_for("the third line", lambda: reader.has("1\n2\n3\n"))
        stopped.send(signal.SIGCONT)
        for member in members:  # One of them holds the watch.
            member.end()
            add("told", "x\n")
            member.start()
            wait_for("all members", lambda: all(
                etcdctl("endpoint", "health", endpoints=m.endpoint).returncode
                == 0 for m in members))
        wait_for("the last lines", lambda: reader.has("1\n2\n3\nx\nx\nx\n"))
        wait_for("a reader that does not ask again", asks_no_more)
    finally:
        reader.end()


def a_change_is_seen_hours_before_it_is_asked_for():
    """By a node whose watch breaks when a member is killed."""
    test = subprocess.Popen([str(BUILD / "tests/fault/test_etcd_watch")],
                            env={**clean, "WEIR_TEST_ETCD": URI},
                            stdout=subprocess.PIPE, text=True)
    try:
        lines = 0
        for line in test.stdout:
            lines += line.startswith("seen ")
            if lines in (8, 16, 24) and line.startswith("seen "):
                member = members[lines // 8 - 1]
                member.end()
                member.start()
                wait_for("the member", lambda m=member: etcdctl(
                    "endpoint", "health",
                    endpoints=m.endpoint).returncode == 0)
        assert test.wait(PATIENCE) == 0 and lines == 40, lines
    finally:
        test.kill()
        test.wait(PATIENCE)


def without_a_majority_it_says_so_and_goes_on_when_there_is_one():
    for member in members[:2]:
        member.send(signal.SIGSTOP)
    done = subprocess.run(
        [WEIR, "--store", f"dir:{folder}/store", "--manifest", f"{URI}/weir",
         "-X", "etcd_timeout=3s", "-X", "etcd_attempt_timeout=500ms", "ls"],
        env=clean, capture_output=True, text=True, timeout=PATIENCE,
        check=False)
    for member in members[:2]:
        member.send(signal.SIGCONT)
    assert done.returncode == 1 and "etcd" in done.stderr, done
    wait_for("a leader", lambda: leader() is not None)
    assert "s7" in weir("ls").split()


def tls_and_a_password_are_asked_for():
    client, peer = free_ports(2)
    key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=etcd", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", cert], check=True, capture_output=True)
    member = Member("tls", client, peer, f"tls=http://127.0.0.1:{peer}",
                    "--cert-file", cert, "--key-file", key)
    member.start()
    try:
        tls = ["--cacert", cert]

        def ctl(*args, user=()):
            return etcdctl(*tls, *user, *args,
                           endpoints=f"https://{member.endpoint}")

        wait_for("etcd with TLS",
                 lambda: ctl("endpoint", "health").returncode == 0)
        assert ctl("user", "add", "root:a-secret").returncode == 0
        ctl("user", "grant-role", "root", "root")
        assert ctl("auth", "enable").returncode == 0
        check_secured(member, f"etcd://{member.endpoint}/secured?tls=true", cert)
    finally:
        member.end()


def check_secured(member, uri, cert):
    def run(*properties):
        options = [o for p in properties for o in ("-X", p)]
        return subprocess.run(
            [WEIR, "--store", f"dir:{folder}/tls", "--wal",
             f"file:{folder}/tls-wal?size=16MiB", "--manifest", uri, *options,
             "append", "a"], input="x\n", env=clean, capture_output=True,
            text=True, timeout=PATIENCE, check=False)

    trust = f"etcd_ca_file={cert}"
    root = [trust, "etcd_user=root", "etcd_password=a-secret"]
    right = run(*root)
    assert right.returncode == 0, right.stderr
    check_watched(member, uri, cert, [o for p in root for o in ("-X", p)],
                  lambda: run(*root))
    wrong = run(trust, "etcd_user=root", "etcd_password=not-this-secret")
    assert wrong.returncode == 1 and "authentication failed" in wrong.stderr
    nobody = run(trust)
    assert nobody.returncode == 1 and "user name is empty" in nobody.stderr
    distrust = run("etcd_user=root", "etcd_password=a-secret")
    assert distrust.returncode == 1 and "TLS" in distrust.stderr, distrust
    assert "secret" not in right.stderr + wrong.stderr + distrust.stderr


def check_watched(member, uri, cert, options, add_line):
    """A watch needs the same TLS and a token, of which a member that was
    started anew knows nothing."""
    url = f"https://{member.endpoint}"
    context = ssl.create_default_context(cafile=cert)
    reader = Reader("a", "tls", uri, options)
    try:
        flush_secured(uri, options)
        wait_for("the first line", lambda: reader.has("x\n"))
        wait_for("a reader that does not ask",
                 lambda: asks_no_more([url], context))
        assert add_line().returncode == 0
        flush_secured(uri, options)
        wait_for("the second line", lambda: reader.has("x\nx\n"))
        member.end()
        member.start()
        assert add_line().returncode == 0
        flush_secured(uri, options)
        wait_for("the third line", lambda: reader.has("x\nx\nx\n"))
        wait_for("a reader that does not ask again",
                 lambda: asks_no_more([url], context))
    finally:
        reader.end()


def flush_secured(uri, options):
    subprocess.run(
        [WEIR, "--store", f"dir:{folder}/tls", "--wal",
         f"file:{folder}/tls-wal?size=16MiB", "--manifest", uri, *options,
         "flush"], env=clean, check=True, timeout=PATIENCE)


class Broker:
    """A weir-kafka of the cluster."""

    def __init__(self, number, *options):
        self.number = number
        self.process = subprocess.Popen(
            [str(PROGRAM), "--store", f"dir:{folder}/kafka",
             "--wal", f"file:{folder}/kafka-wal-{number}?size=64MiB",
             "--manifest", f"{URI}/kafka", "-X", f"node_id={number}",
             "-X", "lease=2s", "-X", "num.partitions=6",
             "--listen", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, env=clean,
            stderr=open(f"{folder}/kafka-{number}.log", "ab"))
        line = self.process.stdout.readline().decode()
        assert "listening on" in line, f"server {number} did not start"
        self.address = line.split()[-1]
        self.port = int(self.address.rsplit(":", 1)[1])

    def end(self, number):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def kcat(brokers, *args, stdin=None):
    return subprocess.run(
        ["kcat", "-b", ",".join(b.address for b in brokers), *args],
        input=stdin, capture_output=True, timeout=PATIENCE,
        check=True).stdout.decode()


def kafka_servers_are_a_cluster_and_one_that_is_killed_is_replaced():
    brokers = [Broker(n) for n in (1, 2, 3)]
    try:
        wait_for("three servers", lambda: all(
            "3 brokers" in kcat([b], "-L") for b in brokers))
        lines = "".join(f"{i}\n" for i in range(3000))
        kcat(brokers, "-P", "-t", "topic", stdin=lines.encode())
        brokers[1].end(signal.SIGKILL)
        rest = [brokers[0], brokers[2]]
        wait_for("the partitions at the other two", lambda: all(
            "2 brokers" in kcat([b], "-L") and
            "leader 2" not in kcat([b], "-L", "-t", "topic") for b in rest))
        got = kcat(rest, "-C", "-t", "topic", "-o", "beginning", "-e", "-q")
        assert sorted(map(int, got.split())) == list(range(3000))
    finally:
        for broker in brokers:
            broker.end(signal.SIGTERM)


def create(broker, name):
    """CreateTopics, version 2: its error."""
    with Client(broker, PATIENCE) as client:
        body = client.ask(frame(19, 2, struct.pack(">i", 1) + string(name)
                                + struct.pack(">ihii", 1, 1, 0, 0)
                                + struct.pack(">ib", 10000, 0)))
    return struct.unpack_from(">h", body, 4 + 4 + 2 + len(name))[0]


def a_topic_made_without_a_majority_times_out_and_can_be_made_later():
    broker = Broker(4, "-X", "commit_timeout=2s", "-X", "etcd_timeout=3s")
    try:
        assert create(broker, b"before") == 0
        for member in members[:2]:
            member.send(signal.SIGSTOP)
        error = create(broker, b"during")
        for member in members[:2]:
            member.send(signal.SIGCONT)
        assert error == 7, error  # REQUEST_TIMED_OUT
        wait_for("the topic is there: made now, or by the first try",
                 lambda: create(broker, b"during") in (0, 36))
        assert broker.end(signal.SIGTERM) == 0
    finally:
        for member in members[:2]:
            member.send(signal.SIGCONT)
        broker.end(signal.SIGKILL)


def main():
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        print("skipped: no etcd to test against (make deps GROUPS=etcd)")
        return
    facts = Facts()
    try:
        for member in members:
            member.start()
        wait_for("a leader", lambda: leader() is not None)
        facts.prove(the_conformance_suite_passes)
        facts.prove(a_node_keeps_its_manifest_in_etcd_and_its_data_in_a_folder)
        facts.prove(nothing_is_lost_while_the_leader_is_stopped_and_killed)
        facts.prove(what_others_commit_is_told_and_not_asked_for)
        facts.prove(a_change_is_seen_hours_before_it_is_asked_for)
        facts.prove(
            without_a_majority_it_says_so_and_goes_on_when_there_is_one)
        facts.prove(
            kafka_servers_are_a_cluster_and_one_that_is_killed_is_replaced)
        facts.prove(
            a_topic_made_without_a_majority_times_out_and_can_be_made_later)
        facts.prove(tls_and_a_password_are_asked_for)
    finally:
        for member in members:
            member.end()
        shutil.rmtree(folder, ignore_errors=True)
    facts.end()


main()
