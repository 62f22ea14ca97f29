#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weir-kafka spoken to in bytes: what no well-behaved client sends.  Needs no
package."""
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_server import (PROGRAM, Client, Facts, Server, batch, crc32c,
                          fetch, frame, metadata, produce, produce_result,
                          string, wait_for)

SEED = int(os.environ.get("WEIR_SEED", 0)) or random.SystemRandom().getrandbits(
    32)
TOPIC = b"bytes"
server = None


def still_serves():
    with Client(server) as client:
        client.ask(metadata(TOPIC))
        error, offset = produce_result(client.ask(produce(TOPIC, batch())),
                                       TOPIC)
        assert error == 0 and offset >= 0, (error, offset)
        assert b"hello" in client.ask(fetch(TOPIC, offset))


def is_closed_by(data):
    with Client(server) as client:
        client.send(data)
        assert client.closed(), data[:40]


def random_bytes_close_their_connection_alone():
    rng = random.Random(SEED)
    for _ in range(200):
        with Client(server) as client:
            try:
                client.send(rng.randbytes(rng.randrange(1, 2000)))
                client.socket.shutdown(socket.SHUT_WR)
            except OSError:
                continue # Closed already.
            assert client.closed()
    still_serves()


def mutated_requests_do_no_harm():
    rng = random.Random(SEED)
    good = [metadata(TOPIC), produce(TOPIC, batch()), fetch(TOPIC, 0),
            frame(18, 0, b""), frame(22, 0, struct.pack(">hi", -1, 1)),
            frame(2, 1, struct.pack(">ii", -1, 1) + string(TOPIC)
                  + struct.pack(">iiq", 1, 0, -1))]
    for _ in range(2000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randrange(1, 5)):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        with Client(server) as client:
            try:
                client.send(data)
                client.socket.shutdown(socket.SHUT_WR)
            except OSError:
                continue # Closed already.
            client.closed()
        assert server.alive()
    still_serves()


def huge_and_negative_lengths_are_refused():
    before = server.memory_kib()
    for length in (0x7FFFFFFF, -1, -0x80000000, 0, 7, 64 << 20):
        is_closed_by(struct.pack(">i", length) + b"x" * 100)
    assert server.memory_kib() < before + 8192
    still_serves()


def declared_lengths_cost_nothing():
    """500 requests that say 30 MiB and send 100 bytes."""
    before = server.memory_kib()
    clients = [Client(server) for _ in range(500)]
    for client in clients:
        client.send(struct.pack(">i", 30 << 20) + b"x" * 100)
    still_serves()  # What was sent before has been read by then.
    grown = server.memory_kib() - before
    assert grown < 16384, grown
    for client in clients:
        client.socket.close()


def declared_counts_cost_nothing():
    before = server.memory_kib()
    is_closed_by(frame(3, 1, struct.pack(">i", 0x7FFFFFF0)))
    is_closed_by(frame(0, 7, struct.pack(">hhii", -1, -1, 1, 1 << 28)))
    # Tagged fields in the header of a flexible request: 2^28 of them.
    head = struct.pack(">hhi", 3, 9, 1) + string(b"x")
    body = head + b"\xff\xff\xff\xff\x0f" + b"\0" * 100
    is_closed_by(struct.pack(">i", len(body)) + body)
    assert server.memory_kib() < before + 8192
    still_serves()


def half_a_request_holds_up_nobody():
    data = produce(TOPIC, batch())
    with Client(server) as slow:
        slow.send(data[:len(data) // 2])
        still_serves()
        slow.send(data[len(data) // 2:])
        assert produce_result(slow.receive()[1], TOPIC)[0] == 0


def unknown_apis_and_versions_close():
    is_closed_by(frame(11, 0, b""))
    is_closed_by(frame(999, 0, b""))
    is_closed_by(frame(-1, 0, b""))
    is_closed_by(frame(3, 99, b""))
    is_closed_by(frame(3, -1, b""))
    is_closed_by(frame(0, 2, struct.pack(">hii", -1, 1, 0)))
    still_serves()


def api_versions_of_the_future_gets_an_answer():
    with Client(server) as client:
        body = client.ask(frame(18, 99, b"whatever"))
        error, count = struct.unpack_from(">hi", body)
        ranges = {struct.unpack_from(">hhh", body, 6 + 6 * i)[0]:
                  struct.unpack_from(">hhh", body, 6 + 6 * i)[1:]
                  for i in range(count)}
        assert error == 35, error
        assert ranges[18] == (0, 4), ranges
        # What librdkafka up to 2.11 looks for.
        for key, version in ((0, 0), (0, 3), (0, 7), (1, 4), (1, 10), (2, 1),
                             (22, 0), (18, 0)):
            assert ranges[key][0] <= version <= ranges[key][1], (key, version)
        still = client.ask(frame(18, 0, b""))
        assert struct.unpack_from(">h", still)[0] == 0


def bytes_behind_a_body_close():
    is_closed_by(frame(22, 0, struct.pack(">hi", -1, 1) + b"x"))


def responses_come_in_the_order_of_requests():
    with Client(server) as client:
        client.ask(metadata(TOPIC))
        data = b""
        for i in range(300):
            kind = i % 3
            if kind == 0:
                data += produce(TOPIC, batch(b"%d" % i), correlation=i)
            elif kind == 1:
                data += metadata(TOPIC, correlation=i)
            else:
                data += fetch(TOPIC, 0, max_bytes=100, correlation=i)
        client.send(data)
        for i in range(300):
            assert client.receive()[0] == i


def pipelined_batches_get_offsets_in_order():
    topic = b"pipeline"
    with Client(server) as client:
        client.ask(metadata(topic))
        client.send(b"".join(produce(topic, batch(), correlation=i)
                             for i in range(500)))
        for i in range(500):
            correlation, body = client.receive()
            assert correlation == i
            assert produce_result(body, topic) == (0, i)


def acks_0_has_no_response():
    topic = b"acks0"
    with Client(server) as client:
        client.ask(metadata(topic))
        client.send(produce(topic, batch(), acks=0, correlation=1)
                    + metadata(topic, correlation=2))
        assert client.receive()[0] == 2
        client.send(produce(b"not-there", batch(), acks=0))
        assert client.closed()
    with Client(server) as client:
        assert produce_result(client.ask(produce(topic, batch(), acks=5)),
                              topic)[0] == 21


def damaged_batches_are_refused_one_by_one():
    topic = b"damaged"
    with Client(server) as client:
        client.ask(metadata(topic))
        good = batch()
        for at in range(len(good)):
            bad = bytearray(good)
            bad[at] ^= 1
            error, offset = produce_result(
                client.ask(produce(topic, bytes(bad))), topic)
            # Only the leader epoch may be anything.
            assert (error == 0) == (12 <= at < 16), (at, error)
        for cut in range(len(good)):
            error, _ = produce_result(
                client.ask(produce(topic, good[:cut])), topic)
            assert error == 87, (cut, error)
        error, _ = produce_result(client.ask(produce(topic, good + good)),
                                  topic)
        assert error == 87
        error, _ = produce_result(
            client.ask(produce(topic, good, partition=1)), topic)
        assert error == 3
        error, offset = produce_result(client.ask(produce(topic, good)),
                                       topic)
        assert (error, offset) == (0, 4), (error, offset)


def a_repeated_sequence_is_written_once():
    topic = b"sequence"
    with Client(server) as client:
        client.ask(metadata(topic))
        body = client.ask(frame(22, 0, struct.pack(">hi", -1, 1)))
        _, error, pid, epoch = struct.unpack(">ihqh", body)
        assert error == 0 and epoch == 0

        def send(sequence):
            return produce_result(client.ask(produce(
                topic, batch(b"x", pid, epoch, sequence))), topic)

        for i in range(8):
            assert send(i) == (0, i)
        assert send(7) == (0, 7)
        assert send(3) == (0, 3)
        assert send(2)[0] == 45  # Out of the window.
        assert send(9)[0] == 45  # A gap.
        assert send(8) == (0, 8)
        # Twice on the way at once: one write, two answers.
        one = produce(topic, batch(b"x", pid, epoch, 9), correlation=1)
        two = produce(topic, batch(b"x", pid, epoch, 9), correlation=2)
        client.send(one + two)
        assert produce_result(client.receive()[1], topic) == (0, 9)
        assert produce_result(client.receive()[1], topic) == (0, 9)
        # The same of several, the first of which is durable before the others.
        client.send(b"".join(produce(topic, batch(b"x", pid, epoch, s))
                             for s in (10, 11, 12, 10, 11, 12)))
        for s in (10, 11, 12, 10, 11, 12):
            assert produce_result(client.receive()[1], topic) == (0, s)
        # After a gap nothing of what follows is written.
        client.send(b"".join(produce(topic, batch(b"x", pid, epoch, s))
                             for s in (14, 15, 16)))
        for _ in range(3):
            assert produce_result(client.receive()[1], topic)[0] == 45
        assert send(13) == (0, 13)


def sequences_survive_a_restart(how):
    global server
    topic = b"restart-" + how.encode()
    with Client(server) as client:
        client.ask(metadata(topic))
        body = client.ask(frame(22, 0, struct.pack(">hi", -1, 1)))
        first = struct.unpack(">ihqh", body)[2]
        for i in range(6):
            assert produce_result(client.ask(produce(
                topic, batch(b"x", first, 0, i))), topic) == (0, i)
    if how == "kill":
        server.kill()
    else:
        assert server.stop() == 0, server.text()
    server.start()
    with Client(server) as client:
        for i in (5, 1, 3):
            assert produce_result(client.ask(produce(
                topic, batch(b"x", first, 0, i))), topic) == (0, i), i
        assert produce_result(client.ask(produce(
            topic, batch(b"x", first, 0, 7))), topic)[0] == 45
        assert produce_result(client.ask(produce(
            topic, batch(b"x", first, 0, 6))), topic) == (0, 6)
        body = client.ask(frame(22, 0, struct.pack(">hi", -1, 1)))
        assert struct.unpack(">ihqh", body)[2] > first


def a_long_log_keeps_its_producers():
    """More batches than lie between two snapshots of the producers, and a
    producer that wrote only before the first of them."""
    topic = b"long"
    with Client(server) as client:
        client.ask(metadata(topic))
        assert produce_result(client.ask(produce(
            topic, batch(b"first", 1 << 40, 0, 0))), topic) == (0, 0)
        total = 20000
        for start in range(1, total, 500):
            client.send(b"".join(
                produce(topic, batch(b"x", 1 << 41, 0, i - 1))
                for i in range(start, start + 500)))
            for _ in range(500):
                error, last = produce_result(client.receive()[1], topic)
                assert error == 0
    server.kill()
    server.start()
    with Client(server) as client:
        assert produce_result(client.ask(produce(
            topic, batch(b"first", 1 << 40, 0, 0))), topic) == (0, 0)
        assert produce_result(client.ask(produce(
            topic, batch(b"x", 1 << 41, 0, last - 1))), topic) == (0, last)
        assert produce_result(client.ask(produce(
            topic, batch(b"x", 1 << 41, 0, last))), topic) == (0, last + 1)


def fetch_waits_for_data_and_no_longer():
    topic = b"wait"
    with Client(server) as client, Client(server) as writer:
        client.ask(metadata(topic))
        client.send(fetch(topic, 0, max_wait=20000))
        wait_for("the fetch is read", client.taken)
        assert produce_result(writer.ask(produce(topic, batch(b"now"))),
                              topic)[0] == 0
        assert b"now" in client.receive()[1]
        # Nothing comes: an empty answer, not an error.
        body = client.ask(fetch(topic, 1, max_wait=100))
        error, end = struct.unpack_from(">hq", body, 4 + 4 + 2 + len(topic) + 8)
        assert (error, end) == (0, 1), (error, end)
        for offset in (2, -5, 1 << 60):
            body = client.ask(fetch(topic, offset, max_wait=20000))
            error, end = struct.unpack_from(">hq", body,
                                            4 + 4 + 2 + len(topic) + 8)
            assert (error, end) == (1, -1), (offset, error, end)


def clients_that_leave_while_they_wait_are_forgotten():
    topic = b"leave"
    with Client(server) as client:
        client.ask(metadata(topic))
    for _ in range(200):
        with Client(server) as client:
            client.send(fetch(topic, 0, max_wait=1000000))
    still_serves()


def connections_are_bounded():
    other = Server("-X", "max.connections=50")
    clients = []
    try:
        refused = 0
        for _ in range(2000):
            clients.append(Client(other))
        for client in clients:
            try:
                client.send(frame(18, 0, b""))
                client.receive()
            except ConnectionError:
                refused += 1
        assert 1950 <= refused < 2000, refused
        assert other.memory_kib() < 32768
    finally:
        for client in clients:
            client.socket.close()
        other.remove()


def half_requests_share_the_budget():
    """Of eight that send 684 KiB each; 2 MiB are there, and one may overdraw."""
    other = Server("-X", "queued.max.bytes=2097152",
                   "-X", "socket.request.max.bytes=1048576",
                   "-X", "message.max.bytes=1000000")
    clients = [Client(other) for _ in range(8)]
    try:
        clients[0].ask(metadata(TOPIC))
        before = other.memory_kib()
        data = produce(TOPIC, b"x" * 900000)
        for client in clients:
            client.socket.setblocking(False)
            try:
                client.socket.send(data[:700000])
            except BlockingIOError:
                pass
        wait_for("a half request is read",
                 lambda: any(client.taken() for client in clients))
        time.sleep(0.3)
        grown = other.memory_kib() - before
        assert grown < 4096, grown
        assert not all(client.taken() for client in clients)
        # Those who leave give their part back.
        for client in clients:
            client.socket.close()
        with Client(other) as client:
            error, _ = produce_result(client.ask(data), TOPIC)
            assert error == 87, error
    finally:
        other.remove()


def who_does_not_read_is_closed_and_holds_little():
    """Clients that ask for much and do not read it."""
    other = Server("-X", "queued.max.bytes=8388608",
                   "-X", "socket.request.max.bytes=1048576",
                   "-X", "message.max.bytes=1000000",
                   "-X", "connections.max.stall.ms=1000")
    clients = []
    try:
        with Client(other) as client:
            client.ask(metadata(TOPIC))
            data = produce(TOPIC, batch())
            client.send(data * 200)
            for _ in range(200):
                client.receive()
        wanted = b"".join(fetch(TOPIC, 0, correlation=i) for i in range(2000))
        for _ in range(20):
            clients.append(Client(other))
            clients[-1].socket.setsockopt(socket.SOL_SOCKET,
                                          socket.SO_RCVBUF, 4096)
            clients[-1].socket.setblocking(False)
            try:
                clients[-1].socket.send(wanted)
            except BlockingIOError:
                pass
        wait_for("a client is closed", lambda: "stalled" in other.text())
        assert other.memory_kib() < 49152, other.memory_kib()
        with Client(other) as client:
            assert b"hello" in client.ask(fetch(TOPIC, 0))
    finally:
        for client in clients:
            client.socket.close()
        other.remove()


def compressed_garbage_is_refused_if_told_to_look():
    """A batch that says gzip, and is not."""
    data = bytearray(batch())
    data[22] = 1
    struct.pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    for look, error in (("false", 0), ("true", 87)):
        other = Server("-X", f"validate.compressed={look}")
        try:
            with Client(other) as client:
                client.ask(metadata(TOPIC))
                got = produce_result(client.ask(produce(TOPIC, bytes(data))),
                                     TOPIC)
                assert got[0] == error, (look, got)
        finally:
            other.remove()


def a_deletion_is_complete_after_a_kill():
    """Nothing of the topic's streams is left, whenever the kill came."""
    other = Server()
    try:
        for round_ in range(5):
            topic = b"gone%d" % round_
            with Client(other) as client:
                client.ask(frame(19, 2, struct.pack(">i", 1) + string(topic)
                                 + struct.pack(">ihii", 30, 1, 0, 0)
                                 + struct.pack(">ib", 10000, 0)))
                for partition in range(30):
                    error, _ = produce_result(client.ask(produce(
                        topic, batch(), partition=partition)), topic)
                    assert error == 0
                body = client.ask(frame(20, 1, struct.pack(">i", 1)
                                        + string(topic)
                                        + struct.pack(">i", 10000)))
                assert struct.unpack(">h", body[-2:])[0] == 0
            other.kill()
            other.start()
            with Client(other) as client:
                error, _ = produce_result(client.ask(produce(topic, batch())),
                                          topic)
                assert error == 3, error
        other.stop()
        listed = subprocess.run(
            [str(PROGRAM.parent / "weir"), "--store",
             f"dir:{other.folder}/store", "--wal", f"file:{other.folder}/wal",
             "ls"], capture_output=True, text=True, check=True, timeout=60)
        assert "kafka/" not in listed.stdout, listed.stdout
    finally:
        other.remove()


def idle_memory_is_small():
    other = Server()
    try:
        with Client(other) as client:
            client.ask(metadata(TOPIC))
            client.ask(produce(TOPIC, batch()))
        time.sleep(0.3)
        memory = other.memory_kib()
        print(f"        idle: {memory} KiB")
        assert memory <= 16384, memory
    finally:
        other.remove()


def sigterm_answers_what_is_under_way():
    other = Server()
    try:
        with Client(other) as client:
            client.ask(metadata(TOPIC))
            client.send(fetch(TOPIC, 0, max_wait=1000000, correlation=9))
            wait_for("the fetch is read", client.taken)
            assert other.stop() == 0, other.text()
            assert client.receive()[0] == 9
            assert client.closed()
    finally:
        other.remove()


def can_trace():
    return shutil.which("strace") is not None and subprocess.run(
        ["strace", "-o", "/dev/null", "true"], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False).returncode == 0


def a_log_that_fails_ends_the_server_and_loses_nothing(nth):
    """From the nth data-sync on, each fails."""
    topic, sent = b"failing", 0
    other = Server(before=[
        "strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
        f"inject=fdatasync:error=EIO:when={nth}+"])
    try:
        with Client(other) as client:
            try:
                client.ask(metadata(topic))
                while sent < 1000:
                    error, offset = produce_result(
                        client.ask(produce(topic, batch())), topic)
                    if error != 0:
                        break
                    assert offset == sent
                    sent += 1
            except ConnectionError:
                pass
        assert sent < 1000
        assert other.wait() == 1, other.text()
        assert "Input/output error" in other.text()
        other.before = []
        other.start()
        with Client(other) as client:
            error, offset = produce_result(client.ask(produce(topic, batch())),
                                           topic)
            # The one that failed may be there, or not.
            assert error == 0 and sent <= offset <= sent + 1, (sent, offset)
    finally:
        other.remove()


def topics_and_partitions_are_bounded():
    other = Server("-X", "topics.max=3", "-X", "partitions.max=10")

    def create(client, name, partitions):
        body = client.ask(frame(19, 2, struct.pack(">i", 1) + string(name)
                                + struct.pack(">ihii", partitions, 1, 0, 0)
                                + struct.pack(">ib", 10000, 0)))
        return struct.unpack_from(">h", body, 4 + 4 + 2 + len(name))[0]

    try:
        with Client(other) as client:
            assert create(client, b"a", 11) == 37
            assert create(client, b"a", 0) == 37
            assert create(client, b"a", 9) == 0
            assert create(client, b"b", 2) == 37
            assert create(client, b"b", 1) == 0
            client.ask(frame(20, 1, struct.pack(">i", 1) + string(b"a")
                             + struct.pack(">i", 10000)))
            assert create(client, b"c", 1) == 0
            assert create(client, b"d", 1) == 0
            assert create(client, b"e", 1) == 42
            assert create(client, b"c", 1) == 36
            assert create(client, b"no good", 1) == 17
            assert create(client, b".", 1) == 17
            assert create(client, b"x" * 250, 1) == 17
            client.ask(frame(20, 1, struct.pack(">i", 1) + string(b"d")
                             + struct.pack(">i", 10000)))
            assert create(client, b"x" * 249, 1) == 0
    finally:
        other.remove()


def a_server_whose_place_was_taken_ends(asked):
    """As soon as it is asked for something; or by itself."""
    first = Server("-X", "lease=2s")
    second = Server.__new__(Server)
    second.__dict__.update(first.__dict__, port=0, options=(
        "-X", "wal_abandon=true", "--wal",
        f"file:{first.folder}/wal-of-the-second?size=16MiB"))
    try:
        second.start()
        try:
            if asked:
                with Client(first) as client:
                    client.ask(metadata(b"too-late"))
        except ConnectionError:
            pass
        assert first.wait() == 1
        assert "WEIR_EFENCED" in first.text()
        with Client(second) as client:
            client.ask(metadata(TOPIC))
            assert produce_result(client.ask(produce(TOPIC, batch())),
                                  TOPIC) == (0, 0)
        assert second.stop() == 0
    finally:
        second.remove()
        first.remove()


def run(*args):
    done = subprocess.run([str(PROGRAM), *args], capture_output=True,
                          text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def bad_options_are_named():
    for args, words in (
            (["--store"], "--store"),
            ([], "--store"),
            (["--store", "dir:/x", "--listen", "nonsense"], "--listen"),
            (["--store", "dir:/x", "--listen", "127.0.0.1:99999"], "--listen"),
            (["--store", "dir:/x", "-X", "nonsense"], "NAME=VALUE"),
            (["--store", "dir:/x", "-X", "no.such.name=1"], "no.such.name"),
            (["--store", "dir:/x", "-X", "no_such_name=1"], "no_such_name"),
            (["--store", "dir:/x", "-X", "num.partitions=0"], "1 to 10000"),
            (["--store", "dir:/x", "-X", "log_cache=lots"], "log_cache"),
            (["--store", "dir:/x", "surplus"], "surplus"),
            (["--nonsense"], "nonsense")):
        status, _, err = run(*args)
        assert status == 2 and words in err, (args, status, err)


def no_parameter_of_a_refused_uri_is_shown():
    """Somebody may have taken it for the place of a secret."""
    for uri in ("s3://bucket?region=r&secret=canary",
                "s3://bucket?secret_key=canary%zz", "gs://bucket?token=canary",
                "mem:?password=canary", "bucket?secret=canary"):
        for args in (["--store", uri], ["--store", "mem:", "--wal", uri],
                     ["--store", "mem:", "--manifest", uri], [uri],
                     ["-X", f"store={uri}"]):
            status, out, err = run(*args)
            assert status != 0 and err, (args, status)
            assert "canary" not in out + err, (args, err)


def help_tells_every_property():
    status, out, _ = run("--help")
    assert status == 0
    for word in ("--store", "--listen", "num.partitions", "log_cache",
                 "s3_access_key"):
        assert word in out, word
    status, out, _ = run("--version")
    assert status == 0 and out.startswith("weir-kafka ")


def an_address_in_use_is_told():
    status, _, err = run("--store", "mem:", "--listen",
                         f"127.0.0.1:{server.port}")
    assert status == 1 and str(server.port) in err, (status, err)


def main():
    global server
    print(f"seed {SEED}: WEIR_SEED={SEED} repeats it")
    facts = Facts()
    server = Server()
    try:
        for fact in (still_serves, random_bytes_close_their_connection_alone,
                     mutated_requests_do_no_harm,
                     huge_and_negative_lengths_are_refused,
                     declared_lengths_cost_nothing,
                     declared_counts_cost_nothing,
                     half_a_request_holds_up_nobody,
                     unknown_apis_and_versions_close,
                     api_versions_of_the_future_gets_an_answer,
                     bytes_behind_a_body_close,
                     responses_come_in_the_order_of_requests,
                     pipelined_batches_get_offsets_in_order,
                     acks_0_has_no_response,
                     damaged_batches_are_refused_one_by_one,
                     a_repeated_sequence_is_written_once,
                     fetch_waits_for_data_and_no_longer,
                     clients_that_leave_while_they_wait_are_forgotten,
                     connections_are_bounded, half_requests_share_the_budget,
                     who_does_not_read_is_closed_and_holds_little,
                     compressed_garbage_is_refused_if_told_to_look,
                     a_deletion_is_complete_after_a_kill,
                     topics_and_partitions_are_bounded,
                     idle_memory_is_small, sigterm_answers_what_is_under_way,
                     bad_options_are_named,
                     no_parameter_of_a_refused_uri_is_shown,
                     help_tells_every_property,
                     an_address_in_use_is_told):
            facts.prove(fact)
        facts.prove(a_server_whose_place_was_taken_ends, "asked")
        facts.prove(a_server_whose_place_was_taken_ends, "")
        facts.prove(sequences_survive_a_restart, "kill")
        facts.prove(sequences_survive_a_restart, "stop")
        facts.prove(a_long_log_keeps_its_producers)
        if can_trace():
            for nth in (5, 10, 50):
                facts.prove(a_log_that_fails_ends_the_server_and_loses_nothing,
                            nth)
        else:
            print("skipped: failing data-syncs (no strace)")
        if facts.failed:
            print(server.text()[-4000:])
    finally:
        server.remove()
    facts.end()


if __name__ == "__main__":
    main()
