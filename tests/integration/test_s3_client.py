#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the programs say and do when a bucket is not as it should be, or goes
away in the midst of work: each cause is told apart, everything ends, what was
acknowledged is kept, and no secret is shown.  The server is scripted
(s3_scripted.py)."""
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time

from kafka_server import BUILD, PROGRAM, Client, Facts, frame, string
from s3_scripted import S3

KEY, SECRET, TOKEN = "THEKEY", "canarysecret/7+q", "tokencanary/8+q=="
TIMED_OUT, EXISTS = 7, 36  # Errors of Kafka.
LIMIT = 120  # Seconds until a program hangs.
SHORT = ("-X", "s3_timeout=2s", "-X", "s3_attempt_timeout=1s",
         "-X", "s3_attempts=3")
folder = tempfile.mkdtemp(prefix="weir-s3-")
log_in_the_bucket = None
said = []  # All that any program has printed.


def environment():
    kept = {name: value for name, value in os.environ.items()
            if not name.startswith(("AWS_", "WEIR_"))}
    return dict(kept, AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET,
                AWS_SESSION_TOKEN=TOKEN, HOME=folder)


def weir(*args, stdin=None):
    run = subprocess.run([str(BUILD / "weir"), *args], env=environment(),
                         input=stdin, capture_output=True, text=True,
                         timeout=LIMIT)
    said.append(run.stdout + run.stderr)
    return run


def refuses(status, code, message="", more=""):
    def script(request):
        request.error(status, code, message, more)
        return True
    return script


def is_a_web_page(status):
    def script(request):
        request.answer(status, b"<html>Please log in</html>",
                       Content_Type="text/html")
        return True
    return script


def echoes(request):
    """An error that repeats what it was sent."""
    request.error(403, "SignatureDoesNotMatch",
                  f"{SECRET} {TOKEN} {request.headers['Authorization']}")
    return True


def ignores_the_condition(request):
    del request.headers["If-None-Match"]


def has_moved(request):
    request.answer(301, x_amz_bucket_region="eu-west-9")
    return True


def hangs_up(request):
    request.close_connection = True
    return True


CAUSES = {
    "no such bucket": (refuses(404, "NoSuchBucket"), "create the bucket"),
    "a wrong secret": (refuses(403, "SignatureDoesNotMatch"),
                       "check the secret key"),
    "an unknown key": (refuses(403, "InvalidAccessKeyId"),
                       "InvalidAccessKeyId"),
    "an expired token": (refuses(400, "ExpiredToken"), "ExpiredToken"),
    "no permission": (refuses(403, "AccessDenied"), "WEIR_EACCES"),
    "a clock that is off": (refuses(403, "RequestTimeTooSkewed"),
                            "set this machine's clock"),
    "another region": (has_moved, "the bucket is in region eu-west-9"),
    "a region that is wrong": (
        refuses(400, "AuthorizationHeaderMalformed", "",
                "<Region>eu-west-9</Region>"),
        "the bucket is in region eu-west-9"),
    "a web page": (is_a_web_page(200), "a web page"),
    "a web page that forbids": (is_a_web_page(403), "a web page"),
    "a server that hangs up": (hangs_up, "the connection was lost"),
    "a server that asks to slow down": (refuses(503, "SlowDown"), "SlowDown"),
    "no condition": (ignores_the_condition, "If-None-Match is ignored"),
    "no conditional create": (refuses(501, "NotImplemented"),
                              "knows no conditional create"),
    "a server that repeats secrets": (echoes, "SignatureDoesNotMatch"),
}


def the_probe_tells(cause):
    script, text = CAUSES[cause]
    run = weir(*SHORT, "probe", S3(script).uri())
    assert run.returncode == 1, run
    assert text in run.stderr, run


def the_probe_tells_that_a_good_store_is_good():
    run = weir("probe", S3().uri())
    assert run.returncode == 0 and run.stdout.endswith("yes\n"), run


def the_probe_tells_what_lies_below_http():
    server = S3()
    silent = socket.create_server(("127.0.0.1", 0))
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    for uri, text in (
            (server.uri(scheme="https"), "no TLS is spoken there"),
            ("s3://bucket?endpoint=https://nowhere.invalid",
             "cannot look up the host"),
            (f"s3://bucket?endpoint=http://127.0.0.1:{port}",
             "cannot connect"),
            ("s3://bucket?endpoint=http://127.0.0.1:"
             f"{silent.getsockname()[1]}", "no end in time")):
        run = weir(*SHORT, "probe", uri)
        assert run.returncode == 1 and text in run.stderr, run
    silent.close()


def a_port_of_tls_is_told_to_who_speaks_plain_http():
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = S3()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    for command in ("ls",), ("probe",):
        run = weir(*SHORT, "--store", server.uri(), *command)
        assert run.returncode == 1 and \
            "if that port is one of TLS, say endpoint=https://" in run.stderr, \
            run


class Failing:
    """Fails the PUTs of commits that hold a word, when it is told to."""

    def __init__(self, how, word=b""):
        self.how = how
        self.word = word
        self.failing = True

    def __call__(self, request):
        return self.failing and request.command == "PUT" \
            and "/manifest/log/" in request.key \
            and self.word in request.body and self.how(request)


def a_command_ends_when_the_manifest_cannot_be_reached(how):
    """commit_timeout: and what it was to do is not done behind its back."""
    script = Failing(hangs_up if how == "hangs up"
                     else refuses(503, "SlowDown"), b"lateword")
    uri = S3(script).uri()
    at = ("--store", uri, "--wal", "object:", "-X", "commit_timeout=1s")
    run = weir(*at, *SHORT, "append", "lateword", stdin="never\n")
    assert run.returncode == 1, run
    assert "the manifest does not answer" in run.stderr, run
    assert "(WEIR_EUNKNOWN)" in run.stderr, run
    script.failing = False
    assert weir(*at, "ls").stdout == ""
    assert weir(*at, "append", "lateword", stdin="once\n").returncode == 0
    assert weir(*at, "cat", "lateword").stdout == "once\n"


def create_topic(client, name):
    """Its error, of CreateTopics version 1."""
    body = client.ask(frame(
        19, 1, struct.pack(">i", 1) + string(name)
        + struct.pack(">ihii", 1, 1, 0, 0) + struct.pack(">i?", 60000, False)))
    return struct.unpack_from(">h", body, 4 + 2 + len(name))[0]


class Kafka:
    """A server whose log is in the bucket."""

    def __init__(self, uri, *options):
        self.log = open(f"{folder}/kafka", "w+")
        self.process = subprocess.Popen(
            [str(PROGRAM), "--store", uri, "--listen", "127.0.0.1:0", "-v",
             *options], env=environment(), stdout=subprocess.PIPE,
            stderr=self.log, text=True)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(LIMIT)
        self.log.seek(0)
        said.append(self.log.read() + self.process.stdout.read())
        self.process.stdout.close()
        self.log.close()
        return status


def a_server_answers_when_the_manifest_cannot_be_reached():
    script = Failing(refuses(503, "SlowDown"), b"late-topic")
    server = Kafka(S3(script).uri(), "-X", "commit_timeout=1s", *SHORT)
    try:
        with Client(server, LIMIT) as client:
            assert create_topic(client, b"late-topic") == TIMED_OUT
            script.failing = False
            assert create_topic(client, b"late-topic") in (0, EXISTS)
            assert create_topic(client, b"late-topic") == EXISTS
    finally:
        status = server.end()
    assert status == 0, said[-1]


def a_file_log_takes_what_a_store_that_goes_away_does_not():
    gone = [False]
    uri = S3(lambda request: gone[0] and hangs_up(request)).uri()
    lines = "".join(f"{i}\n" for i in range(1000))
    at = ("--store", uri, "--wal", f"file:{folder}/wal?size=16MiB", *SHORT)
    assert weir(*at, "append", "s", stdin=lines).returncode == 0
    process = subprocess.Popen(
        [str(BUILD / "weir"), *at, "-v", "append", "--ack", "s"],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    process.stdin.write("first\n")
    process.stdin.flush()
    assert process.stdout.readline() == "1000\n"
    gone[0] = True
    out, err = process.communicate(lines, LIMIT)
    said.append(out + err)
    assert process.returncode == 0, err
    assert out == "".join(f"{1001 + i}\n" for i in range(1000)), out[-100:]
    gone[0] = False
    assert weir(*at, "cat", "s").stdout == lines + "first\n" + lines


def a_command_that_waits_for_room_can_be_stopped():
    """The log cache is full, and nothing can be uploaded."""
    gone = [False]
    uri = S3(lambda request: gone[0] and hangs_up(request)).uri()
    at = ("--store", uri, "--wal", f"file:{folder}/wal2?size=64MiB", *SHORT)
    process = subprocess.Popen(
        [str(BUILD / "weir"), *at, "-X", "log_cache=8MiB",
         "-X", "upload_bytes=1MiB", "append", "--ack", "s"],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    line = "x" * 99999 + "\n"
    process.stdin.write(line)
    process.stdin.flush()
    assert process.stdout.readline() == "0\n"
    gone[0] = True

    def feed():
        try:
            for _ in range(400):
                process.stdin.write(line)
        except OSError:
            pass

    threading.Thread(target=feed, daemon=True).start()
    told = []
    reader = threading.Thread(target=lambda: told.extend(process.stdout))
    reader.start()
    before = -1
    while len(told) > before or len(told) < 10:  # Until it is stuck.
        before = len(told)
        time.sleep(2)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(LIMIT)
    finally:
        process.kill()
        reader.join()
    said.append(process.stderr.read())
    assert process.returncode == 130, (process.returncode, said[-1])
    assert told == [f"{i + 1}\n" for i in range(len(told))], told
    gone[0] = False
    read = weir(*at, "cat", "s").stdout
    assert len(read) > len(told) * len(line) and read == line * (
        len(read) // len(line)), (len(read), len(told))


class LogInTheBucket:
    """An append while the bucket is gone: it takes the minute that the log
    has for a PUT, so it is begun before all else."""

    def __init__(self):
        self.gone = False
        uri = S3(lambda request: self.gone and hangs_up(request)).uri()
        self.at = ("--store", uri, "--wal", "object:",
                   "-X", "commit_timeout=1s", *SHORT)
        self.process = subprocess.Popen(
            [str(BUILD / "weir"), *self.at, "append", "--ack", "s"],
            env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.write("first\n")
        self.first = self.process.stdout.readline()
        self.gone = True
        self.write("second\n")

    def write(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()


def a_log_in_the_bucket_acknowledges_nothing_when_that_goes_away():
    log = log_in_the_bucket
    out, err = log.process.communicate(timeout=LIMIT)
    said.append(out + err)
    assert log.process.returncode == 1, err
    assert (log.first, out) == ("0\n", ""), out
    assert "the connection was lost" in err and "WEIR_EUNKNOWN" in err, err
    log.gone = False
    assert weir(*log.at, "cat", "s").stdout.startswith("first\n")


def no_message_says_what_it_is_about_twice():
    for line in "".join(said).splitlines():
        parts = line.split(": ")
        assert all(a != b for a, b in zip(parts, parts[1:])), line


def no_secret_was_shown_or_stored():
    server = S3()
    at = ("--store", server.uri(), "--wal", "object:", "-v", "-v")
    weir(*at, "append", "s", stdin="x\n")
    for command in (["stat"], ["nodes"], ["properties"], ["dump", "manifest"],
                    ["cat", "--json", "s"]):
        weir(*at, *command)
    stored = b"".join(data for data, _ in server.objects.values())
    for secret in (SECRET, TOKEN):
        assert secret.encode() not in stored
        for text in said:
            assert secret not in text, text


def main():
    global log_in_the_bucket
    facts = Facts()
    log_in_the_bucket = LogInTheBucket()
    try:
        facts.prove(the_probe_tells_that_a_good_store_is_good)
        for cause in CAUSES:
            facts.prove(the_probe_tells, cause)
        facts.prove(the_probe_tells_what_lies_below_http)
        facts.prove(a_port_of_tls_is_told_to_who_speaks_plain_http)
        for how in ("asks to slow down", "hangs up"):
            facts.prove(a_command_ends_when_the_manifest_cannot_be_reached,
                        how)
        facts.prove(a_server_answers_when_the_manifest_cannot_be_reached)
        facts.prove(a_file_log_takes_what_a_store_that_goes_away_does_not)
        facts.prove(a_command_that_waits_for_room_can_be_stopped)
        facts.prove(
            a_log_in_the_bucket_acknowledges_nothing_when_that_goes_away)
        facts.prove(no_message_says_what_it_is_about_twice)
        facts.prove(no_secret_was_shown_or_stored)
    finally:
        log_in_the_bucket.process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    facts.end()


if __name__ == "__main__":
    main()
