# SPDX-License-Identifier: Apache-2.0
"""Errors of the library, by what to do about them.

Each carries `code` (the number), `name` (such as "WEIR_EFENCED") and the
library's own text."""
from __future__ import annotations


class Error(Exception):
    """Any error of the library."""

    code = 0
    name = "WEIR_OK"

    def __init__(self, code: int, name: str, text: str) -> None:
        super().__init__(f"{name}: {text}")
        self.code = code
        self.name = name
        self.text = text


class RetryError(Error):
    """Certainly not done: do the same again, later."""


class ReopenError(Error):
    """Close the stream or the node and open it again."""


class UnknownError(Error):
    """It may or may not have been done: look."""


class FatalError(Error):
    """Doing it again gives the same answer."""


class AgainError(RetryError):
    """There is no room now."""


class TimedOutError(RetryError):
    """It took too long."""


class UnavailableError(RetryError):
    """The store cannot be reached."""


class FencedError(ReopenError):
    """A later epoch owns this."""


class ClosedError(ReopenError):
    """The node or the stream is closed."""


class NotFoundError(FatalError, KeyError):
    """There is no such stream, key or node."""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class ExistsError(FatalError):
    """It exists already."""


class ConflictError(FatalError):
    """The version is another one."""


class OffsetError(FatalError, IndexError):
    """The offset is below the start or beyond the end."""


class CorruptError(FatalError):
    """What was stored is damaged."""


class InvalidError(FatalError, ValueError):
    """An argument or a property is wrong."""


class BusyError(FatalError):
    """Another process or node has it."""


class ReadOnlyError(FatalError):
    """It was opened to read only."""


KINDS: dict[str, type[Error]] = {
    "WEIR_EAGAIN": AgainError,
    "WEIR_ETIMEDOUT": TimedOutError,
    "WEIR_EUNAVAILABLE": UnavailableError,
    "WEIR_EFENCED": FencedError,
    "WEIR_ECLOSED": ClosedError,
    "WEIR_ENOENT": NotFoundError,
    "WEIR_EEXIST": ExistsError,
    "WEIR_ECONFLICT": ConflictError,
    "WEIR_ERANGE": OffsetError,
    "WEIR_ECORRUPT": CorruptError,
    "WEIR_EINVAL": InvalidError,
    "WEIR_EBUSY": BusyError,
    "WEIR_EREADONLY": ReadOnlyError,
}

CLASSES: dict[int, type[Error]] = {
    1: RetryError, 2: ReopenError, 3: UnknownError, 4: FatalError}
