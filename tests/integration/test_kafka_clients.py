#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kafka's clients against weir-kafka: kcat, kafka-python, confluent-kafka
(librdkafka) and aiokafka, unmodified.

The Python clients are installed into build/kafka-clients by pip when they are
not there; that needs a package index.  Without one, their facts are left out
with a message (but with CI=true that is a failure)."""
import asyncio
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import venv

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kafka_server import ROOT, Facts, Server

PACKAGES = ["kafka-python==3.0.12", "confluent-kafka==2.16.1",
            "aiokafka==0.14.0", "lz4==4.4.5", "zstandard==0.25.0",
            "python-snappy==0.7.3", "cramjam==2.14.0"]
VENV = ROOT / "build" / "kafka-clients"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
COUNT = 100
TIME = 1700000000000
SEED = int(os.environ.get("WEIR_SEED", 0)) or random.SystemRandom().getrandbits(
    32)
server = None


def install():
    """Go on in an interpreter that has the clients; returns if there can be
    none."""
    python = VENV / "bin" / "python"
    stamp = VENV / "packages"
    wanted = "\n".join(PACKAGES)
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(VENV, ignore_errors=True)
        try:
            venv.create(VENV, with_pip=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q",
                            "--only-binary", ":all:", *PACKAGES],
                           check=True, timeout=240)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"skipped: cannot install the Python clients: {error}")
            return
        stamp.write_text(wanted)
    os.execv(python, [str(python), os.path.abspath(__file__), "installed"])


def value(i):
    """Of 1 byte, of nearly 1 MiB, none, and of some bytes."""
    if i == 3:
        return None
    return bytes([97 + i % 26]) * (1 if i == 0 else 1048000 if i == 1 else i)


def key(i):
    return b"key %d" % i if i % 2 else None


# ---- kcat --------------------------------------------------------------------

def kcat(*args, stdin=None):
    return subprocess.run(["kcat", "-b", server.address, "-q", *args],
                          input=stdin, capture_output=True, check=True,
                          timeout=60).stdout


def kcat_lists_the_node_and_the_topic():
    kcat("-P", "-t", "listed", stdin=b"x\n")
    out = kcat("-L", "-t", "listed").decode()
    assert f"at {server.address}" in out and 'topic "listed"' in out, out


def kcat_reads_what_it_wrote(codec):
    topic = f"kcat-{codec}"
    lines = b"".join(b"k%d|line %d\n" % (i, i) for i in range(1000))
    kcat("-P", "-t", topic, "-z", codec, "-K", "|", "-H", "head=er",
         "-X", "message.max.bytes=2000000", stdin=lines)
    out = kcat("-C", "-t", topic, "-o", "beginning", "-e",
               "-f", "%k|%s|%o|%h\n")
    assert out == b"".join(b"k%d|line %d|%d|head=er\n" % (i, i, i)
                           for i in range(1000)), out[:200]
    out = kcat("-C", "-t", topic, "-o", "-10", "-e", "-f", "%o\n")
    assert out == b"".join(b"%d\n" % i for i in range(990, 1000)), out


def kcat_carries_a_message_of_a_mebibyte(codec):
    """Records of exactly 1 byte and 1 MiB."""
    topic = f"kcat-large-{codec}"
    sizes = [1, 1 << 20, 1, 1 << 20]
    data = b"".join(bytes([97 + i]) * n + b"\n" for i, n in enumerate(sizes))
    kcat("-P", "-t", topic, "-z", codec, "-X", "message.max.bytes=2000000",
         stdin=data)
    assert kcat("-C", "-t", topic, "-o", "beginning", "-e") == data


# ---- kafka-python ------------------------------------------------------------

def python_producer(codec, **options):
    from kafka import KafkaProducer
    return KafkaProducer(bootstrap_servers=server.address,
                         compression_type=None if codec == "none" else codec,
                         acks="all", max_request_size=3000000, **options)


def python_consumer(topic, **options):
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=server.address, group_id=None,
                             **options)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    return consumer, partition


def python_send_all(topic, codec, idempotent):
    producer = python_producer(codec, enable_idempotence=idempotent)
    sent = [producer.send(topic, value=value(i), key=key(i), partition=0,
                          headers=[("h", b"x"), ("empty", b"")],
                          timestamp_ms=TIME + i) for i in range(COUNT)]
    producer.flush(60)
    assert [s.get(60).offset for s in sent] == list(range(COUNT))
    producer.close()


def take(consumer, count):
    got = []
    for message in consumer:
        got.append(message)
        if len(got) == count:
            break
    return got


def kafka_python_reads_what_it_wrote(codec, idempotent):
    topic = f"python-{codec}-{idempotent}"
    python_send_all(topic, codec, idempotent)
    consumer, partition = python_consumer(topic, consumer_timeout_ms=30000)
    consumer.seek_to_beginning(partition)
    got = take(consumer, COUNT)
    assert [m.offset for m in got] == list(range(COUNT))
    for i, message in enumerate(got):
        assert message.value == value(i), i
        assert message.key == key(i), i
        assert message.timestamp == TIME + i, i
        assert list(message.headers) == [("h", b"x"), ("empty", b"")], i
    assert consumer.end_offsets([partition])[partition] == COUNT
    assert consumer.beginning_offsets([partition])[partition] == 0
    consumer.close()


def offsets_are_found_by_time(codec):
    """In topics that the facts above have filled."""
    consumer, partition = python_consumer(f"python-{codec}-True")
    for i in (0, 1, 50, COUNT - 1):
        found = consumer.offsets_for_times({partition: TIME + i})[partition]
        assert (found.offset, found.timestamp) == (i, TIME + i), (i, found)
    assert consumer.offsets_for_times(
        {partition: TIME + COUNT})[partition] is None
    assert consumer.offsets_for_times({partition: 0})[partition].offset == 0
    consumer.close()


def topics_are_created_deleted_and_created_again():
    from kafka.admin import KafkaAdminClient, NewTopic
    from kafka.errors import TopicAlreadyExistsError
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    for _ in range(3):
        admin.create_topics([NewTopic("again", 1, 1)])
        try:
            admin.create_topics([NewTopic("again", 1, 1)])
            raise AssertionError("created twice")
        except TopicAlreadyExistsError:
            pass
        python_send_all("again", "none", True)  # Offsets begin at 0.
        admin.delete_topics(["again"])
        assert "again" not in admin.list_topics()
    admin.close()


def a_topic_takes_the_time_of_append_if_told_to():
    from kafka.admin import KafkaAdminClient, NewTopic
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    admin.create_topics([NewTopic(
        "stamped", 1, 1,
        topic_configs={"message.timestamp.type": "LogAppendTime"})])
    admin.close()
    before = int(time.time() * 1000)
    python_send_all("stamped", "gzip", True)
    consumer, partition = python_consumer("stamped",
                                          consumer_timeout_ms=30000)
    consumer.seek_to_beginning(partition)
    for message in take(consumer, COUNT):
        assert before <= message.timestamp <= before + 60000
        assert message.timestamp_type == 1
    consumer.close()


def a_topic_refuses_what_is_too_large():
    from kafka.admin import KafkaAdminClient, NewTopic
    from kafka.errors import KafkaError, MessageSizeTooLargeError
    admin = KafkaAdminClient(bootstrap_servers=server.address)
    admin.create_topics([NewTopic(
        "small", 1, 1, topic_configs={"max.message.bytes": "2000"})])
    admin.close()
    producer = python_producer("none", retries=0)
    producer.send("small", b"x" * 1000).get(30)
    try:
        producer.send("small", b"x" * 3000).get(30)
        raise AssertionError("taken")
    except KafkaError as error:
        assert isinstance(error, MessageSizeTooLargeError), error
    producer.close()


# ---- librdkafka of today, and aiokafka ---------------------------------------

def confluent_read(topic, count):
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": server.address,
                         "group.id": "unused", "enable.auto.commit": False,
                         "isolation.level": "read_committed"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    got, end = [], time.monotonic() + 60
    while len(got) < count and time.monotonic() < end:
        message = consumer.poll(1)
        if message is None:
            continue
        assert message.error() is None, message.error()
        got.append(message)
    consumer.close()
    return got


def librdkafka_reads_what_it_wrote(codec, idempotent):
    from confluent_kafka import Producer
    topic = f"confluent-{codec}-{idempotent}"
    told = []
    producer = Producer({"bootstrap.servers": server.address,
                         "compression.type": codec,
                         "enable.idempotence": idempotent,
                         "message.max.bytes": 2000000})
    for i in range(COUNT):
        producer.produce(topic, value=value(i), key=key(i), partition=0,
                         headers=[("h", b"x")], timestamp=TIME + i,
                         on_delivery=lambda e, m: told.append((e, m.offset())))
    assert producer.flush(60) == 0
    assert told == [(None, i) for i in range(COUNT)], told
    got = confluent_read(topic, COUNT)
    assert [m.offset() for m in got] == list(range(COUNT))
    for i, message in enumerate(got):
        assert message.value() == value(i) and message.key() == key(i), i
        assert message.timestamp()[1] == TIME + i, i
        assert message.headers() == [("h", b"x")], i


async def aiokafka_run(codec):
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
    topic = f"aio-{codec}"
    producer = AIOKafkaProducer(
        bootstrap_servers=server.address, enable_idempotence=True,
        compression_type=None if codec == "none" else codec)
    await producer.start()
    for i in range(COUNT):
        if i == 1:
            continue # Its largest request is smaller.
        await producer.send_and_wait(topic, value(i), key(i), partition=0)
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=server.address)
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    await consumer.seek_to_beginning(partition)
    for offset in range(COUNT - 1):
        i = offset if offset == 0 else offset + 1
        message = await asyncio.wait_for(consumer.getone(), 30)
        assert message.offset == offset
        assert message.value == value(i) and message.key == key(i), i
    await consumer.stop()


def aiokafka_reads_what_it_wrote(codec):
    asyncio.run(aiokafka_run(codec))


def each_client_reads_what_the_others_wrote(codec):
    """kafka-python and librdkafka, crosswise, in the topics of above."""
    consumer, partition = python_consumer(f"confluent-{codec}-True",
                                          consumer_timeout_ms=30000)
    consumer.seek_to_beginning(partition)
    assert [m.value for m in take(consumer, COUNT)] == [
        value(i) for i in range(COUNT)]
    consumer.close()
    assert [m.value() for m in confluent_read(f"python-{codec}-True", COUNT)
            ] == [value(i) for i in range(COUNT)]


# ---- kill -9 -----------------------------------------------------------------

def killer(stop, kills):
    rng = random.Random(SEED)
    while len(kills) < 8 and not stop.wait(rng.uniform(0.05, 0.6)):
        server.kill()
        time.sleep(rng.uniform(0, 0.2))
        server.start()
        kills.append(1)


def nothing_is_lost_doubled_or_reordered_by_kill_9(client):
    """An idempotent producer that goes on through the kills: what it was told
    is written is there, once, in order."""
    topic = f"kill-{client}"
    total, told, kills, stop = 4000, [], [], threading.Event()
    thread = threading.Thread(target=killer, args=(stop, kills))
    send, flush = (confluent_sender if client == "librdkafka" else
                   python_sender)(topic, told)
    thread.start()
    try:
        for i in range(total):
            send(i)
            time.sleep(0.001)
        flush()
    finally:
        stop.set()
        thread.join()
    assert len(told) == total, len(told)
    got = confluent_read(topic, total)
    numbers = [int(m.value().split()[0]) for m in got]
    assert numbers == list(range(total)), [
        (a, b) for a, b in enumerate(numbers) if a != b][:5]
    assert [m.offset() for m in got] == list(range(total))
    where = {int(m.value().split()[0]): m.offset() for m in got}
    assert all(where[i] == offset for i, offset in told)
    print(f"        {len(kills)} kills, {total} messages")
    assert len(kills) >= 3, kills


def confluent_sender(topic, told):
    from confluent_kafka import Producer
    producer = Producer({"bootstrap.servers": server.address,
                         "enable.idempotence": True, "linger.ms": 1,
                         "reconnect.backoff.max.ms": 100,
                         "retry.backoff.ms": 20})

    def send(i):
        def delivered(error, message):
            assert error is None, error
            told.append((i, message.offset()))
        producer.produce(topic, b"%d " % i + b"x" * (i % 500), partition=0,
                         on_delivery=delivered)
        producer.poll(0)

    def flush():
        assert producer.flush(120) == 0
    return send, flush


def python_sender(topic, told):
    producer = python_producer("none", enable_idempotence=True, linger_ms=1,
                               reconnect_backoff_max_ms=100,
                               retry_backoff_ms=20)
    futures = []

    def send(i):
        futures.append((i, producer.send(
            topic, b"%d " % i + b"x" * (i % 500), partition=0)))

    def flush():
        producer.flush(120)
        told.extend((i, f.get(1).offset) for i, f in futures)
        producer.close()
    return send, flush


def all_is_there_after_a_clean_restart():
    assert server.stop() == 0, server.text()[-2000:]
    server.start()
    for codec in CODECS:
        each_client_reads_what_the_others_wrote(codec)


def python_facts(facts):
    for codec in CODECS:
        for idempotent in (False, True):
            facts.prove(kafka_python_reads_what_it_wrote, codec, idempotent)
            facts.prove(librdkafka_reads_what_it_wrote, codec, idempotent)
        facts.prove(aiokafka_reads_what_it_wrote, codec)
        facts.prove(each_client_reads_what_the_others_wrote, codec)
        facts.prove(offsets_are_found_by_time, codec)
    facts.prove(topics_are_created_deleted_and_created_again)
    facts.prove(a_topic_takes_the_time_of_append_if_told_to)
    facts.prove(a_topic_refuses_what_is_too_large)
    facts.prove(nothing_is_lost_doubled_or_reordered_by_kill_9, "librdkafka")
    facts.prove(nothing_is_lost_doubled_or_reordered_by_kill_9,
                "kafka-python")
    facts.prove(all_is_there_after_a_clean_restart)


def main():
    global server
    installed = sys.argv[1:] == ["installed"]
    if not installed:
        install()
    print(f"seed {SEED}: WEIR_SEED={SEED} repeats it")
    facts = Facts()
    # Small caches and quick uploads, so that much is read from objects.
    server = Server("-X", "message.max.bytes=2000000", "-X", "log_cache=8MiB",
                    "-X", "block_cache=1MiB", "-X", "upload_interval=100ms",
                    "-X", "stream_object=64KiB", "-X", "snapshot_commits=16")
    try:
        facts.prove(kcat_lists_the_node_and_the_topic)
        for codec in CODECS:
            facts.prove(kcat_reads_what_it_wrote, codec)
            facts.prove(kcat_carries_a_message_of_a_mebibyte, codec)
        if installed:
            python_facts(facts)
        elif os.environ.get("CI") == "true":
            facts.failed += 1
        if facts.failed:
            print(server.text()[-4000:])
    finally:
        server.remove()
    facts.end()


if __name__ == "__main__":
    main()
