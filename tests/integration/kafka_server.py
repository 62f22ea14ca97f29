# SPDX-License-Identifier: Apache-2.0
"""What the tests of weir-kafka share: a server of their own, requests as
bytes, and facts that are counted."""
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
PROGRAM = BUILD / "weir-kafka"
PATIENCE = 60  # Seconds until something that must come is given up.


def wait_for(what, holds):
    """Wait until it holds: a slow machine only takes longer."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE} s"
        time.sleep(0.1)


class Server:
    """A weir-kafka on a directory and a file log, in a folder of its own."""

    def __init__(self, *options, before=()):
        """`before`: a command to run the server in."""
        self.before = list(before)
        self.folder = tempfile.mkdtemp(prefix="weir-kafka-")
        self.options = options
        self.process = None
        self.port = 0
        self.start()

    def start(self):
        """Start, on the port of the first start, and wait until it listens."""
        self.log = open(f"{self.folder}/log", "ab")
        self.process = subprocess.Popen(
            [*self.before, str(PROGRAM), "--store", f"dir:{self.folder}/store",
             "--wal", f"file:{self.folder}/wal?size=256MiB",
             "--listen", f"127.0.0.1:{self.port}", *self.options],
            stdout=subprocess.PIPE, stderr=self.log)
        line = self.process.stdout.readline().decode()
        if "listening on" not in line:
            raise RuntimeError("the server did not start:\n"
                               + self.text()[-2000:])
        self.port = int(line.rsplit(":", 1)[1])

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def text(self):
        with open(f"{self.folder}/log", errors="replace") as log:
            return log.read()

    def kill(self):
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.log.close()
        return status

    def alive(self):
        return self.process.poll() is None

    def memory_kib(self):
        """Resident memory, in KiB."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        return 0

    def remove(self):
        if self.process is not None and self.alive():
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Facts:
    """Runs functions named by the facts they prove, and counts."""

    def __init__(self):
        self.passed = self.failed = 0

    def prove(self, function, *args):
        name = function.__name__.replace("_", " ")
        if args:
            name += ": " + ", ".join(str(a) for a in args
                                     if isinstance(a, (str, int)))
        started = time.monotonic()
        try:
            function(*args)
        except Exception:
            self.failed += 1
            print(f"FAILED: {name}")
            traceback.print_exc(file=sys.stdout)
        else:
            self.passed += 1
            print(f"ok      {name} ({time.monotonic() - started:.1f} s)")
        sys.stdout.flush()

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


# ---- Requests as bytes -------------------------------------------------------

def string(text):
    return struct.pack(">h", len(text)) + text


def frame(key, version, body, correlation=1, client=b"test"):
    message = struct.pack(">hhi", key, version, correlation) \
        + string(client) + body
    return struct.pack(">i", len(message)) + message


def crc_of_byte(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CRC_TABLE = [crc_of_byte(byte) for byte in range(256)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def varint(number):
    """Of a number that is not negative."""
    number *= 2
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def batch(value=b"hello", producer=-1, epoch=-1, sequence=-1):
    """A record batch of one record."""
    record = bytes([0, 0, 0, 1]) + varint(len(value)) + value + bytes([0])
    record = varint(len(record)) + record
    now = int(time.time() * 1000)
    checked = struct.pack(">hiqqqhii", 0, 0, now, now, producer, epoch,
                          sequence, 1) + record
    rest = struct.pack(">ibI", -1, 2, crc32c(checked)) + checked
    return struct.pack(">qi", 0, len(rest)) + rest


def produce(topic, records, acks=-1, correlation=1, partition=0):
    """Produce version 7."""
    return frame(0, 7, struct.pack(">hhii", -1, acks, 10000, 1)
                 + string(topic) + struct.pack(">iii", 1, partition,
                                               len(records)) + records,
                 correlation)


def fetch(topic, offset, max_wait=0, correlation=1, max_bytes=1 << 20,
          min_bytes=1):
    """Fetch version 4."""
    return frame(1, 4, struct.pack(">iiiibi", -1, max_wait, min_bytes,
                                   max_bytes, 0, 1) + string(topic)
                 + struct.pack(">iiqi", 1, 0, offset, max_bytes), correlation)


def metadata(topic, correlation=1):
    """Metadata version 1: creates the topic if it is not there."""
    return frame(3, 1, struct.pack(">i", 1) + string(topic), correlation)


class Client:
    """A connection that speaks bytes."""

    def __init__(self, server, timeout=30):
        self.socket = socket.create_connection(("127.0.0.1", server.port),
                                               timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError("closed")
            data += part
        return data

    def receive(self):
        """Correlation and body of the next response."""
        length, = struct.unpack(">i", self.exactly(4))
        data = self.exactly(length)
        return struct.unpack(">i", data[:4])[0], data[4:]

    def ask(self, data):
        self.send(data)
        return self.receive()[1]

    def taken(self):
        """Whether the server has read all that was sent (proc(5), tcp)."""
        here, there = (f":{address[1]:04X}" for address in (
            self.socket.getsockname(), self.socket.getpeername()))
        with open("/proc/net/tcp") as table:
            for line in table:
                _, local, remote, _, queues, *_ = line.split()
                if local.endswith(there) and remote.endswith(here):
                    return queues.endswith(":00000000")
        return False

    def closed(self):
        """Wait until the server closes, and say whether it did."""
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except socket.timeout:
            return False


def produce_result(body, topic):
    """Error and base offset of a produce response, version 7."""
    return struct.unpack_from(">hq", body, 4 + 2 + len(topic) + 4 + 4)
