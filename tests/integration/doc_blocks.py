# SPDX-License-Identifier: Apache-2.0
"""The code blocks of a page, and a bash script that runs them.

A block says by the words behind its fence what it is:

    sh        commands; those of a page are one session of bash, `set -e`
    c         a program; if its first line is a comment that begins with a
              file's name it is put there, for the commands below, else it is
              compiled and run
    python    a program, or tests for pytest (def test_)
    output    what the block before it prints; `...` stands for anything
    text      is only to look at
    sh repo   commands of somebody who has a clone: not run, but every `make
              TARGET` and every file in it must be there
    sh s3     runs where there is an S3 server: `make test-s3`
"""
import re

KINDS = {"sh", "c", "python", "output", "text", "sh repo", "sh s3",
         "output s3"}
FENCE = re.compile(r"^(\s*)```(.*)$")
FILE = re.compile(r"^(?:/\*|#|//)\s*([\w.-]+\.(?:c|h|py|txt))\b")


class Bad(Exception):
    """The page is not as it must be."""


class Block:
    def __init__(self, page, line, words):
        self.page, self.line = page, line
        self.words = words
        self.kind = words.split()[0] if words else ""
        self.lines = []
        self.expected = None  # The `output` that belongs to it.

    @property
    def text(self):
        return "".join(self.lines)

    @property
    def where(self):
        return f"{self.page}:{self.line}"

    @property
    def needs_s3(self):
        return self.words.endswith(" s3")


def blocks_of(page, text):
    """All of them, each `output` with the block that it belongs to."""
    found, block, indent, blank, in_list = [], None, "", True, False
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        fence = FENCE.match(line)
        if block is None and fence:
            indent = fence[1]
            block = Block(page, number, fence[2].strip())
            if block.words not in KINDS:
                raise Bad(f"{block.where}: a block of kind {block.words!r}; "
                          f"expected one of {', '.join(sorted(KINDS))}")
        elif block is not None and fence and not fence[2].strip():
            found.append(block)
            block = None
        elif block is not None:
            block.lines.append(line.removeprefix(indent))
        else:
            if re.match(r"^ {4}\S", line) and blank and not in_list:
                raise Bad(f"{page}:{number}: an indented block says not "
                          "what it is: use a fence")
            if line.strip():
                in_list = bool(re.match(r"^([-*]|\d+\.) ", line)) or \
                    (in_list and line.startswith("  "))
        blank = not line.strip()
    if block is not None:
        raise Bad(f"{block.where}: the block does not end")
    return with_outputs(found)


def with_outputs(found):
    kept = []
    for block in found:
        if block.kind != "output":
            kept.append(block)
        elif not kept or kept[-1].kind in ("text",) \
                or kept[-1].expected is not None:
            raise Bad(f"{block.where}: the output of what?")
        else:
            kept[-1].expected = block
    return kept


def matches(expected, printed):
    """Is it that, where `...` stands for anything?  One blank is as good as
    many."""
    expected, printed = (re.sub(r"^ | $", "", re.sub(r" +", " ", text),
                                flags=re.M).strip()
                         for text in (expected, printed))
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(pattern, printed, re.S) is not None


def command_of(block, number):
    """What runs a block, as lines of bash, and the files that it needs."""
    name = FILE.match(block.text)
    if block.kind == "sh":
        return block.text, {}
    if name:
        return ":\n", {name[1]: block.text}
    if block.kind == "c":
        file = f"block_{number}.c"
        if "int main(" not in block.text:
            return (f"cc -std=c11 -Wall -Wextra -Werror -fsyntax-only {file} "
                    "$(pkg-config --cflags weir)\n"), {
                        file: "#include <weir.h>\n#include <weir/sim.h>\n"
                              + block.text}
        return (f"cc -std=c11 -Wall -Wextra -Werror -o block_{number} {file} "
                "$(pkg-config --cflags --libs weir)\n"
                f"./block_{number}\n"), {file: block.text}
    file = f"test_block_{number}.py"
    if re.search(r"^def test_", block.text, re.M):
        return (f"$PYTHON -m pytest -q -p no:cacheprovider "
                f"-p weir.pytest_plugin {file}\n"), {file: block.text}
    return f"$PYTHON {file}\n", {file: block.text}


def script_of(blocks):
    """One bash script that runs them in order; it leaves the output of each
    in out.N, and in `at` which one it has begun last."""
    script, files = ["set -euo pipefail\n"], {}
    for number, block in enumerate(blocks):
        commands, more = command_of(block, number)
        files.update(more)
        script.append(f"exec >out.{number} 2>&1\necho {number} >at\n"
                      f"{commands}")
    script.append("echo end >at\n")
    return "".join(script), files
