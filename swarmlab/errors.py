"""Every error swarmlab raises on purpose: what was wrong, where, and what to do about it."""


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


class ToolError(SwarmlabError):
    """A tool failed; names the tool and keeps the cause."""

    def __init__(self, tool: str, message: str) -> None:
        super().__init__(f"tool {tool} failed: {message}")
        self.tool = tool
