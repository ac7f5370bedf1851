"""Every error swarmlab raises on purpose: what was wrong, where, and what to do about it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class SwarmlabError(Exception):
    """A run failed. The command line prints its message and exits with `exit_code`."""

    exit_code = 1


class UserError(SwarmlabError):
    """The user's input was wrong; nothing was started and nothing was written over."""

    exit_code = 2


class SpecError(UserError):
    """An experiment, level or brief names something unknown or holds a bad value."""


class DataError(UserError):
    """A data file cannot be used; names the file, and the row and column where known."""


class ModelUnavailableError(UserError):
    """The model asked for is not on this machine or not known; says how to get it."""


class TraceError(UserError):
    """A trace is malformed; names the span."""


class StoreError(UserError):
    """Results cannot be read or written at the place asked for."""


class ModelError(SwarmlabError):
    """A model call failed or its answer was unusable."""


class RateLimitedError(ModelError):
    """A provider refused a call (429); it may be tried again after `retry_after_s`."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ServerError(ModelError):
    """A provider failed at a call (5xx); it may be tried again."""


class ToolError(SwarmlabError):
    """A tool failed; names the tool and keeps the cause."""

    def __init__(self, tool: str, message: str) -> None:
        super().__init__(f"tool {tool} failed: {message}")
        self.tool = tool


class VirtualTimeError(SwarmlabError):
    """A simulation did something that has no meaning in virtual time."""


class DeadlockError(VirtualTimeError):
    """Every task of a simulation waits and no timer is left to wake one; names what each waits for."""


class RealWaitError(VirtualTimeError):
    """A simulation was about to wait in real time; says what to use instead."""


def first_problem(error: "ValidationError") -> str:
    """Say the first thing pydantic found wrong in one line: `field 'x': what (got …)`."""
    first: dict[str, Any] = dict(error.errors(include_url=False)[0])
    where = ".".join(str(part) for part in first["loc"])
    message = str(first["msg"]).removeprefix("Value error, ")
    got = "" if first["type"] == "missing" else f" (got {first['input']!r})"
    return f"field {where!r}: {message}{got}" if where else message
