# SPDX-License-Identifier: Apache-2.0
"""What a caller has passed, looked at before the library sees it: each error
names the argument, what it was, and what was expected."""
from __future__ import annotations

from typing import Any, Optional

from weir import errors
from weir._ffi import ffi

UINT64 = (1 << 64) - 1
INT64 = (1 << 63) - 1


def invalid(text: str) -> errors.InvalidError:
    return errors.InvalidError(-1, "WEIR_EINVAL", text)


def number(name: str, value: Any, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}: expected a whole number, not "
                        f"{type(value).__name__} {value!r}")
    value = value.__index__()
    if not least <= value <= most:
        raise invalid(f"{name}: expected {least} to {most}, not {value}")
    return int(value)


def seconds(name: str, value: Any) -> int:
    """Seconds as nanoseconds; None: for ever."""
    if value is None:
        return INT64
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected seconds, or None for no limit, not "
                        f"{type(value).__name__} {value!r}")
    if not value >= 0:
        raise invalid(f"{name}: expected 0 or more seconds, not {value!r}")
    return int(min(value * 1e9, INT64))


def text(name: str, value: Any) -> bytes:
    """A string without zero bytes."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: expected str, not {type(value).__name__} "
                        f"{value!r}")
    if "\0" in value:
        raise invalid(f"{name}: expected no zero byte, found one in {value!r}")
    return value.encode(errors="surrogateescape")


def payload(name: str, value: Any) -> Any:
    """The bytes of anything that has some in one piece."""
    try:
        return ffi.from_buffer(value)
    except (TypeError, ValueError, BufferError):
        pass
    if isinstance(value, str):
        raise TypeError(f"{name}: expected bytes, not str: encode it, as in "
                        f"{value[:20]!r}.encode()")
    if isinstance(value, memoryview):
        raise TypeError(f"{name}: expected bytes in one piece, not a "
                        "memoryview with gaps: bytes(it) has none")
    raise TypeError(f"{name}: expected bytes, bytearray or memoryview, not "
                    f"{type(value).__name__}")


def timestamp(value: Optional[int], none: int) -> int:
    """Milliseconds since 1970; None: there is none."""
    if value is None:
        return none
    return number("timestamp", value, -INT64, INT64)
