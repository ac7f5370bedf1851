"""Tools that answer, fail, hang, crash or return garbage; importable, for workers in other processes."""

import os
import threading
import time
from pathlib import Path
from typing import Any

from swarmlab.errors import ToolError
from swarmlab.tools import Fact, ToolAnswer


def answer(tool: str) -> ToolAnswer:
    """A sound answer."""
    fact = Fact(f"{tool}.revenue", tool, "revenue", 7, "count", 10)
    return ToolAnswer(tool, (fact,), "revenue: 7")


def fail(tool: str) -> ToolAnswer:
    """Fail as tools do."""
    raise ToolError(tool, "no rows")


def cut_off(tool: str) -> ToolAnswer:
    """Fail for a reason that may pass."""
    raise ToolError(tool, "OSError: cut off") from ConnectionResetError("cut off")


def crash(tool: str) -> ToolAnswer:
    """Take the whole process down."""
    os._exit(3)


def garbage(tool: str) -> Any:
    """Return something else."""
    return {"revenue": "lots"}


def hang(tool: str, pid_file: Path) -> ToolAnswer:
    """Say which process it is and never come back (for ten minutes, should nobody end it)."""
    pid_file.write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(600)
    return answer(tool)


def wait_for(event: threading.Event, tool: str) -> ToolAnswer:
    """Hang until it is let go."""
    event.wait(600)
    return answer(tool)


def process_id() -> int:
    """Where it runs."""
    return os.getpid()


class StubbornError(Exception):
    """Can be pickled and not be made again."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(f"{one} and {other}")


def be_stubborn() -> None:
    """Raise it."""
    raise StubbornError(7, 8)
