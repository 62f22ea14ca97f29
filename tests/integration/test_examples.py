#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples do what examples/README.md says of them.

    BUILD=build tests/integration/test_examples.py
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

import python_copy
from kafka_server import Facts

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
LIMIT = 60
FACTS = Facts()


def expect(true, text):
    if not true:
        raise AssertionError(text)


def run(name, *args, cwd=None, status=0):
    """Run an example to its end: what it prints."""
    ended = subprocess.run([BUILD / "examples" / name, *args], cwd=cwd,
                           capture_output=True, text=True, timeout=LIMIT,
                           check=False)
    expect(ended.returncode == status,
           f"{name} {args}: status {ended.returncode}\n{ended.stdout}"
           f"{ended.stderr}")
    if status != 0:
        expect(ended.stderr.count("\n") == 1 or ended.stdout,
               f"not one line: {ended.stderr!r}")
    return ended.stdout


class Server:
    """An example that serves, on a free port; it tells which."""

    def __init__(self, name, *args):
        self.process = subprocess.Popen(
            [BUILD / "examples" / name, *args], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+)$", line)
        if not found:
            self.process.kill()
            raise AssertionError(f"{line!r}: {self.process.communicate()}")
        self.port = int(found[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def end(self):
        """Ask it to end, and see that it does."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=LIMIT)
        expect(self.process.returncode == 0, f"it ended badly: {out}{err}")


class Client:
    """Lines there and back."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self.file = self.socket.makefile("rw", newline="\n")

    def ask(self, line):
        self.file.write(line + "\n")
        self.file.flush()
        return self.hear()

    def hear(self):
        return self.file.readline().rstrip("\n")

    def close(self):
        self.file.close()
        self.socket.close()


def folder(test):
    """A temporary folder for it."""
    def in_a_folder():
        with tempfile.TemporaryDirectory() as path:
            test(path)
    in_a_folder.__name__ = test.__name__
    return in_a_folder


# ---- Facts -------------------------------------------------------------------

@folder
def the_smallest_program_reads_what_it_wrote(path):
    expect(run("hello", cwd=path) == "offset 0: hello\n", "first run")
    expect(run("hello", cwd=path) == "offset 1: hello\n", "second run")


@folder
def a_program_that_cannot_open_says_so_in_a_line(path):
    os.mkdir(f"{path}/hello-wal")  # A folder, where the log is to be.
    run("hello", cwd=path, status=1)
    run("epoll_service", "0", "dir:/no/where", "mem:", status=1)
    run("custom_wal", "/no/where", status=1)
    run("text_broker", "1", "0", "/no/where", status=1)
    expect(os.listdir("/") and not os.path.exists("/no"), "it made /no")


def nonsense_is_a_usage_error():
    for args in (["epoll_service"], ["epoll_service", "x", "mem:", "mem:"],
                 ["epoll_service", "70000", "mem:", "mem:"], ["custom_wal"],
                 ["text_broker", "1"], ["text_broker", "1", "port", "."],
                 ["sim_bank", "nonsense"], ["sim_bank", "none", "1x"]):
        run(*args, status=2)


@folder
def a_place_that_cannot_be_is_wrong_usage_and_makes_nothing(path):
    for store, wal in (("foo:", "mem:"), ("dir:", "mem:"), ("mem:", "foo:"),
                       ("s3:bucket", "mem:"), ("mem:", "file:"),
                       ("dir:x?y=1", "mem:"), ("mem:", "file:x?size=1")):
        for command in ([BUILD / "weir", "--store", store, "--wal", wal,
                         "append", "s"],
                        [BUILD / "weir-kafka", "--store", store, "--wal", wal,
                         "--listen", "127.0.0.1:0"]):
            ended = subprocess.run(command, cwd=path, capture_output=True,
                                   text=True, stdin=subprocess.DEVNULL,
                                   timeout=LIMIT, check=False)
            expect(ended.returncode == 2 and "WEIR_EINVAL" in ended.stderr
                   and not ended.stdout,
                   f"{command}: {ended.returncode} {ended.stderr}")
    expect(not os.listdir(path), f"left behind: {os.listdir(path)}")


@folder
def the_epoll_service_answers_with_offsets(path):
    store, wal = f"dir:{path}/store", f"file:{path}/wal?size=16MiB"
    with Server("epoll_service", "0", store, wal) as server:
        one, other = Client(server.port), Client(server.port)
        expect(one.ask("a") == "0" and other.ask("b") == "1", "offsets")
        one.file.write("c\nd\n")  # Two at once, answered in order.
        one.file.flush()
        expect((one.hear(), one.hear()) == ("2", "3"), "two at once")
        expect(one.ask("").startswith("error"), "an empty line")
        expect(other.ask("x" * 65000) == "4", "a long line")
        other.file.write("y" * 70000)  # Without an end.
        other.file.flush()
        expect(other.hear().startswith("error"), "a line without an end")
        for client in (one, other):
            client.close()
        gone = Client(server.port)  # One that does not wait for its answer.
        gone.file.write("e\n")
        gone.file.flush()
        gone.close()
        server.end()
    with Server("epoll_service", "0", store, wal) as server:
        client = Client(server.port)
        expect(client.ask("f") in ("5", "6"), "offsets after a restart")
        client.close()
        server.end()


@folder
def the_log_of_ones_own_gives_back_what_it_took(path):
    expect(run("custom_wal", path, "a", "b")
           == "0 came back, 2 were appended\n", "first run")
    expect(run("custom_wal", path, "c") == "2 came back, 1 were appended\n",
           "second run")
    with open(f"{path}/ring", "r+b") as file:
        file.write(b"NOT-RING")
    run("custom_wal", path, status=1)


def the_store_of_ones_own_is_shared_by_two_nodes():
    expect(run("custom_store") == "node 2 reads: it flows\n", "output")


@folder
def the_broker_serves_topics_and_offsets(path):
    with Server("text_broker", "1", "0", path) as server:
        client = Client(server.port)
        for line, answer in (
                ("PUB news hello world", "OK 0"), ("PUB news two", "OK 1"),
                ("GET news 0", "MSG 0 hello world"), ("GET news 1", "MSG 1 two"),
                ("GET news 2", "END 2"), ("OFFSET g/news", "OK 0 0")):
            heard = client.ask(line)
            expect(heard == answer, f"{line}: {heard}")
        version = client.ask("COMMIT g/news 1 0")
        expect(version.startswith("OK "), version)
        version = version[3:]
        expect(client.ask("COMMIT g/news 9 0") == f"CONFLICT {version}",
               "a second consumer was not noticed")
        expect(client.ask("OFFSET g/news") == f"OK 1 {version}", "offset")
        for line in ("", "PUB", "PUB news", "GET news", "GET news -1",
                     "GET ../x 1", "PUB N x", "COMMIT g/news 1", "?" * 60000,
                     "GET news 1 2", "OFFSET g/news x"):
            heard = client.ask(line)
            expect(heard.startswith("ERR "), f"{line[:20]!r}: {heard}")
        expect(client.ask("GET news 18446744073709551617").startswith("ERR "),
               "a number that is too big")
        client.close()


@folder
def a_broker_takes_over_from_a_dead_one(path):
    with Server("text_broker", "1", "0", path) as first, \
            Server("text_broker", "2", "0", path) as second:
        one, two = Client(first.port), Client(second.port)
        expect(one.ask("PUB news before") == "OK 0", "append")
        heard = two.ask("PUB news elsewhere")
        expect(heard == f"MOVED 127.0.0.1:{first.port}", heard)
        version = one.ask("COMMIT g/news 1 0")[3:]
        first.process.kill()
        end = time.monotonic() + LIMIT
        heard = two.ask("PUB news after")
        while heard != "OK 1" and time.monotonic() < end:
            time.sleep(0.1)
            heard = two.ask("PUB news after")
        expect(heard == "OK 1", f"not taken over: {heard}")
        expect(two.ask("GET news 0") == "MSG 0 before", "what was there")
        expect(two.ask("OFFSET g/news") == f"OK 1 {version}", "offset")
        two.close()
        with Server("text_broker", "1", "0", path) as first:
            one = Client(first.port)
            heard = one.ask("PUB news x")
            expect(heard == f"MOVED 127.0.0.1:{second.port}", heard)
            one.close()


def a_bank_without_a_bug_passes_all_seeds():
    output = run("sim_bank")
    match = re.fullmatch(r"nothing found in 200 seeds, with (\d+) leaders\n",
                         output)
    expect(match, output)
    expect(int(match[1]) > 600, f"few leaders: {output}")


def a_planted_bug_is_found_and_its_seed_shows_it_again(bug):
    first = run("sim_bank", bug, status=1)
    seed = re.match(r"seed (\d+): ", first)[1]
    again = [run("sim_bank", bug, seed, status=1) for _ in range(2)]
    expect(again[0] == again[1], "the traces differ")
    expect(again[0].endswith(first), "it shows something else")


def storage_logic_is_tested_in_python():
    package = python_copy.package()
    expect(package is not None, "the package does not build")
    ended = subprocess.run(
        [python_copy.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p",
         "weir.pytest_plugin", EXAMPLES / "test_storage.py"],
        env={**os.environ, "PYTHONPATH": str(package),
             "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=2 * LIMIT, check=False)
    expect(ended.returncode == 0, ended.stdout + ended.stderr)


def each_example_is_short_and_told_of():
    page = (EXAMPLES / "README.md").read_text()
    for path in sorted(EXAMPLES.glob("*.*")):
        if path.suffix in (".c", ".h", ".py", ".sh"):
            lines = path.read_text().count("\n")
            expect(lines < 300, f"{path.name} has {lines} lines")
            expect(f"]({path.name})" in page,
                   f"examples/README.md does not tell of {path.name}")


def main():
    FACTS.prove(the_smallest_program_reads_what_it_wrote)
    FACTS.prove(a_program_that_cannot_open_says_so_in_a_line)
    FACTS.prove(nonsense_is_a_usage_error)
    FACTS.prove(a_place_that_cannot_be_is_wrong_usage_and_makes_nothing)
    FACTS.prove(the_epoll_service_answers_with_offsets)
    FACTS.prove(the_log_of_ones_own_gives_back_what_it_took)
    FACTS.prove(the_store_of_ones_own_is_shared_by_two_nodes)
    FACTS.prove(the_broker_serves_topics_and_offsets)
    FACTS.prove(a_broker_takes_over_from_a_dead_one)
    FACTS.prove(a_bank_without_a_bug_passes_all_seeds)
    for bug in ("early", "retry", "stale", "memory"):
        FACTS.prove(a_planted_bug_is_found_and_its_seed_shows_it_again, bug)
    FACTS.prove(storage_logic_is_tested_in_python)
    FACTS.prove(each_example_is_short_and_told_of)
    FACTS.end()


if __name__ == "__main__":
    sys.exit(main())
