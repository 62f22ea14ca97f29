# SPDX-License-Identifier: Apache-2.0
"""The Python package, built in a copy of its own under build/: for tests that
use it while another one builds it in place."""
import fcntl
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("PYTHON", "/usr/bin/python3")
COPY = ROOT / "build" / "python-copy"


def newest():
    """When something that it is made from has changed last."""
    files = [ROOT / "build" / "libweir.so",
             *(ROOT / "include").rglob("*.h"),
             *(ROOT / "bindings" / "python").glob("*.py"),
             *(ROOT / "bindings" / "python" / "weir").glob("*.py")]
    return max(path.stat().st_mtime for path in files if path.exists())


def package():
    """The folder for PYTHONPATH, or None if it cannot be built here."""
    COPY.parent.mkdir(exist_ok=True)
    with open(f"{COPY}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp = COPY / "built"
        if stamp.exists() and stamp.stat().st_mtime > newest():
            return COPY
        shutil.rmtree(COPY, ignore_errors=True)
        shutil.copytree(ROOT / "bindings" / "python", COPY,
                        ignore=shutil.ignore_patterns("*.so", "*.o", "build",
                                                      "__pycache__"))
        built = subprocess.run(
            [PYTHON, "build_weir.py"], cwd=COPY, capture_output=True,
            env={**os.environ, "WEIR_ROOT": str(ROOT)}, text=True, check=False)
        if built.returncode != 0:
            print(built.stdout + built.stderr)
            return None
        stamp.touch()
        return COPY
