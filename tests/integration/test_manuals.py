#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual pages of the programs and their --help tell of the same options
and commands."""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
facts = {True: 0, False: 0}


def fact(text, holds):
    facts[bool(holds)] += 1
    if not holds:
        print(f"not so: {text}")


def help_of(*words):
    return subprocess.run([BUILD / words[0], *words[1:], "--help"], check=True,
                          timeout=60, capture_output=True, text=True).stdout


def options(text):
    """Each option that a help tells of, as the set of its names."""
    for line in text.splitlines():
        if re.match(r" +--?[A-Za-z0-9]", line):
            names = re.split(r" {2,}", line.strip())[0]
            yield {name.lstrip("-") for name in
                   re.findall(r"(?:^|[ ,])(--?[A-Za-z0-9][a-z-]*)", names)}


def page_options(page):
    """The options in a page of mdoc(7): those of Fl, bundled ones too."""
    found = set()
    for name in re.findall(r"\bFl (-?[A-Za-z0-9][A-Za-z0-9-]*)", page):
        found |= {name[1:]} if name[0] == "-" else set(name)
    for name in re.findall(r"\bFl [A-Za-z0-9] , Fl ([a-z0-9])", page) + \
            re.findall(r"\bFl [a-z] , ([a-z])\b", page):
        found.add(name)
    return found


def compare(program, *commands):
    page = (ROOT / "docs/man" / f"{program}.1").read_text()
    known, told = page_options(page), set()
    for command in ((), *(c.split() for c in commands)):
        words = " ".join((program, *command))
        for names in options(help_of(program, *command)):
            told |= names
            fact(f"{program}(1) tells of -{'/'.join(sorted(names))} of "
                 f"`{words}`", names & known)
    for name in sorted(known - told):
        fact(f"an option -{name} that {program}(1) tells of is there", False)
    for command in commands:
        fact(f"{program}(1) tells of `{program} {command}`",
             re.search(rf"^\.It Cm {command}\b", page, re.MULTILINE))


listed = re.search(r"^Commands:\n(.*?)\n\n", help_of("weir"),
                   re.MULTILINE | re.DOTALL).group(1)
compare("weir", *re.findall(r"^  ([a-z]+(?: [a-z]+)?)  ", listed,
                            re.MULTILINE))
compare("weir-kafka")
print(f"{facts[True]} passed, {facts[False]} failed")
sys.exit(1 if facts[False] else 0)
