# SPDX-License-Identifier: Apache-2.0
"""What a configuration calls in the host: its log, its source of S3 keys.
Both are called on threads of the library."""
from __future__ import annotations

from typing import Any, Callable, NamedTuple, Optional

from weir import _core, errors
from weir._ffi import callback, ffi, lib

EAUTH = -21
LEVELS = ("error", "warning", "info", "debug")
Log = Callable[[str, str], None]


class S3Keys(NamedTuple):
    """Keys of an s3: store; `expires` in seconds since 1970, 0: never."""

    access_key: str
    secret_key: str
    token: Optional[str] = None
    expires: float = 0


GiveKeys = Callable[[bool], S3Keys]


@callback("void(void *, enum weir_log_level, const char *)", "weir_py_log",
          _core._broken)
def _log(ctx: Any, level: int, text: Any) -> None:
    ffi.from_handle(ctx)(LEVELS[min(int(level), len(LEVELS) - 1)],
                         ffi.string(text).decode(errors="replace"))


def _fill(given: Any, keys: Any) -> int:
    token = ffi.NULL if given.token is None else given.token.encode()
    return int(lib.weir_s3_keys_set(
        keys, given.access_key.encode(), given.secret_key.encode(), token,
        int(given.expires * 1000)))


def _no_keys(kind: Any, error: BaseException, trace: Any) -> int:
    """The text of an exception is the host's, and may hold a secret: only its
    kind is told, unless it is an error of the library."""
    text, code = str(kind.__name__), EAUTH
    if isinstance(error, errors.Error) and error.code < 0:
        text, code = error.text, error.code
    err = trace.tb_frame.f_locals.get("err")
    if err is not None:
        line = text.encode()[:200] + b"\0"
        ffi.memmove(err.text, line, len(line))
    if not isinstance(error, Exception):
        _core._raised.append(error)
    return code


@callback("int(void *, int, struct weir_s3_keys *, struct weir_error *)",
          "weir_py_s3_keys", _no_keys)
def _keys(ctx: Any, rejected: int, keys: Any, err: Any) -> int:
    # pylint: disable=unused-argument
    return _fill(ffi.from_handle(ctx)(bool(rejected)), keys)


def attach(config: Any, log: Optional[Log],
           s3_keys: Optional[GiveKeys]) -> list[Any]:
    """What must be kept as long as the configuration is used."""
    kept: list[Any] = []
    for name, hook in (("log", log), ("s3_keys", s3_keys)):
        if hook is not None and not callable(hook):
            raise TypeError(f"{name}: expected a function, not "
                            f"{type(hook).__name__}")
    if log is not None:
        handle = ffi.new_handle(log)
        struct = ffi.new("struct weir_log *", {
            "size": ffi.sizeof("struct weir_log"), "write": _log,
            "ctx": handle})
        lib.weir_config_set_log(config, struct)
        kept += [handle, struct]
    if s3_keys is not None:
        handle = ffi.new_handle(s3_keys)
        lib.weir_config_set_s3_keys(config, _keys, handle)
        kept.append(handle)
    return kept
