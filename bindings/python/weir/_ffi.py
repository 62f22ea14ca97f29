# SPDX-License-Identifier: Apache-2.0
"""The library: the compiled module (API mode) if there is one, otherwise the
shared library opened at run time (ABI mode), with the same declarations."""
from __future__ import annotations

import os
import pathlib
from typing import Any, Callable

HERE = pathlib.Path(__file__).resolve().parent
ffi: Any
lib: Any
API: bool


def _abi() -> tuple[Any, Any]:
    import cffi

    declarations = HERE / "_cdef.h"
    if not declarations.exists():
        raise ImportError("weir: neither the compiled module nor _cdef.h is "
                          "there: build it with `make python`, or "
                          "`python3 build_weir.py`")
    abi = cffi.FFI()
    abi.cdef(declarations.read_text())
    names = [os.environ.get("WEIR_LIBRARY"),
             str(HERE.parents[2] / "build" / "libweir.so"), "libweir.so.0"]
    problems = []
    for name in names:
        if not name:
            continue
        try:
            return abi, abi.dlopen(name)
        except OSError as error:
            problems.append(str(error))
    raise ImportError("weir: libweir.so.0 cannot be opened (set WEIR_LIBRARY "
                      "to its path): " + "; ".join(problems))


try:
    if os.environ.get("WEIR_PYTHON_MODE") == "abi":
        raise ImportError
    from weir._weir import ffi, lib  # type: ignore
    API = True
except ImportError:
    ffi, lib = _abi()
    API = False

_kept: list[Any] = []


def callback(signature: str, name: str,
             broken: Any = None) -> Callable[[Any], Any]:
    """A function that the library calls: by its name in API mode.  What it
    raises, `broken` gets: kind, exception and traceback."""
    def wrap(function: Any) -> Any:
        if API:
            ffi.def_extern(name=name, onerror=broken)(function)
            return getattr(lib, name)
        made = ffi.callback(signature, function, onerror=broken)
        _kept.append(made)
        return made
    return wrap
