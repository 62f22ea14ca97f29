#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command and program that the documentation shows runs, and prints
what it is said to print.  doc_blocks.py tells how blocks are marked.

    BUILD=build tests/integration/test_docs.py [PAGE...]

SHOW=1 shows what each block printed.  With WEIR_TEST_S3_ENDPOINT only the pages with blocks that need an S3 server
are run; without it those blocks are left out.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile

import doc_blocks
import python_copy
from kafka_server import Facts

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 120
FACTS = Facts()
# What the documentation calls by these numbers gets free ones here.
PORTS = ("9092", "9093", "9094", "7000", "7001", "7002")
S3_ENDPOINT = os.environ.get("WEIR_TEST_S3_ENDPOINT")


def expect(true, text):
    if not true:
        raise AssertionError(text)


def pages():
    listed = subprocess.run(
        ["git", "ls-files", "-c", "-o", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:  # Not a clone.
        listed = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*.md")
                  if "build" not in path.parts]
    return [page for page in sorted(listed)
            if page != "CHANGELOG.md" and (ROOT / page).exists()]


def free_ports():
    """As many as there are names; each was free just now."""
    sockets = [socket.socket() for _ in PORTS]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    numbers = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return dict(zip(PORTS, numbers))


def install(prefix):
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD")}
    done = subprocess.run(["make", "install", f"PREFIX={prefix}"], cwd=ROOT,
                          env=env, capture_output=True, text=True,
                          check=False)
    expect(done.returncode == 0, done.stdout + done.stderr)
    os.symlink(python_copy.PYTHON, f"{prefix}/bin/python3")


def environment(prefix, folder):
    env = {k: v for k, v in os.environ.items()
           if k in ("PATH", "LANG", "TMPDIR", "USER") or
           (S3_ENDPOINT and k.startswith("AWS_"))}
    env["PATH"] = f"{prefix}/bin:{env['PATH']}"
    env["HOME"] = str(folder)
    env["PKG_CONFIG_PATH"] = f"{prefix}/lib/pkgconfig"
    env["LD_LIBRARY_PATH"] = f"{prefix}/lib"
    env["MANPATH"] = f"{prefix}/share/man:"
    env["PYTHON"] = python_copy.PYTHON
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    env["EXAMPLES"] = str(ROOT / "examples")
    return env


def run(blocks, env, folder):
    """The page's session: how it ended, and what it printed."""
    ports = free_ports()
    for block in blocks:
        for part in (block, block.expected):
            if part is not None:
                part.lines = [replace(line, ports) for line in part.lines]
    script, files = doc_blocks.script_of(blocks)
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / ".session.sh").write_text(script)
    session = subprocess.Popen(
        ["bash", ".session.sh"], cwd=folder, env=env,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        status = session.wait(LIMIT)
    except subprocess.TimeoutExpired:
        status = "it took too long"
    finally:
        try:  # And what it has left in the background.
            os.killpg(session.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        session.wait()
    at = (folder / "at").read_text().strip()
    for number, block in enumerate(blocks):
        out = folder / f"out.{number}"
        printed = out.read_text(errors="replace") if out.exists() else ""
        expect(str(number) != at,
               f"{block.where}: ended with status {status}\n{printed}")
        if os.environ.get("SHOW"):
            print(f"--- {block.where}\n{printed}", end="")
        if block.expected is not None:
            expect(doc_blocks.matches(block.expected.text, printed),
                   f"{block.expected.where}: it printed\n{printed}")


def replace(line, ports):
    for name, number in ports.items():
        line = re.sub(rf"(?<![\d.]){name}(?!\d)", number, line)
    if S3_ENDPOINT:
        line = line.replace("http://127.0.0.1:9000", S3_ENDPOINT)
    return line


def check_repo_block(block):
    """Commands of somebody who has a clone: what they name is there."""
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^\s*make((?: +[^#\s]+)*)", block.text, re.M):
        for word in target.split():
            if "=" not in word and not word.startswith("-") and \
                    "/" not in word:
                expect(re.search(rf"^{re.escape(word)}:", makefile, re.M)
                       or word == "tests",
                       f"{block.where}: make {word}: no such target")
    for path in re.findall(r"(?<![\w/.-])(?:tests|examples|\.ci|bindings|docs)"
                           r"/[\w./-]+", block.text):
        expect((ROOT / path).exists(), f"{block.where}: {path} is not there")


def each_block_of(page, prefix, package):
    blocks = doc_blocks.blocks_of(page, (ROOT / page).read_text())
    for block in blocks:
        if block.words == "sh repo":
            check_repo_block(block)
    runs = [block for block in blocks
            if block.kind != "text" and block.words != "sh repo"]
    if S3_ENDPOINT:
        if not any(block.needs_s3 for block in runs):
            return
    else:
        runs = [block for block in runs if not block.needs_s3]
    if not runs:
        return
    with tempfile.TemporaryDirectory() as path:
        folder = pathlib.Path(path)
        env = environment(prefix, folder)
        if package is not None:
            env["PYTHONPATH"] = str(package)
        (folder / "README.md").write_text((ROOT / "README.md").read_text())
        run(runs, env, folder)


def the_program_of_the_readme_is_an_example():
    shown = [block.text for block in doc_blocks.blocks_of(
        "README.md", (ROOT / "README.md").read_text()) if block.kind == "c"]
    hello = (ROOT / "examples/hello.c").read_text()
    expect(any(text.strip() and text.split("#include", 1)[1].strip()
               == hello.split("#include", 1)[1].strip() for text in shown),
           "README.md does not show examples/hello.c as it is")


def a_wrong_block_is_noticed():
    for text in ("```\nx\n```\n", "```bash\nx\n```\n", "```sh\nx\n",
                 "a\n\n    make x\n", "```output\nx\n```\n",
                 "```text\nx\n```\n\n```output\nx\n```\n"):
        try:
            doc_blocks.blocks_of("page", text)
        except doc_blocks.Bad:
            continue
        raise AssertionError(f"taken: {text!r}")
    expect(doc_blocks.matches("a ... c\n", "a b\nb c\n"), "it is")
    expect(not doc_blocks.matches("a ... c\n", "a b"), "it is not")


def main():
    wanted = sys.argv[1:] or pages()
    with tempfile.TemporaryDirectory() as prefix:
        install(prefix)
        package = python_copy.package()
        if not sys.argv[1:] and not S3_ENDPOINT:
            FACTS.prove(a_wrong_block_is_noticed)
            FACTS.prove(the_program_of_the_readme_is_an_example)
        for page in wanted:
            FACTS.prove(each_block_of, page, pathlib.Path(prefix), package)
    FACTS.end()


if __name__ == "__main__":
    main()
