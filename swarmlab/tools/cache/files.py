"""Values too large for a row: each in a file of its own beside the database, under a name used only once."""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

from swarmlab.trace.clock import WallClock

FOLDER = "values"
_NAME = re.compile(r"[0-9]{10}-[0-9a-f]{32}")
"""Its size in bytes and a random number. Nothing else that a damaged row may hold is taken for a file's."""
_ABANDONED_S = 3600.0
"""A file that no row has after so long was left by a process that died; a younger one may be a put's."""


class ValueFiles:
    """The files of one cache's values. The row that names one is written after it and goes before it.

    A file is neither synced nor renamed: until its row is committed nobody knows of it, and what a power cut
    takes of it the entry's seal shows, as SQLite's journal gives up its last entries.

    Parameters
    ----------
    folder
        The cache's; the files are in a folder of their own in it, made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._cache = folder
        self._folder = folder / FOLDER
        self.unused: list[str] = []
        """Those that no row will name any more when the transaction under way is committed."""

    def write(self, value: bytes) -> str:
        """Write a new file and return its name; of one that cannot be written nothing stays."""
        name = f"{len(value):010}-{os.urandom(16).hex()}"
        try:
            self._write(name, value)
        except FileNotFoundError:
            self._cache.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._folder.mkdir(exist_ok=True, mode=0o700)
            self._write(name, value)
        return name

    def _write(self, name: str, value: bytes) -> None:
        try:
            with open(self._folder / name, "xb", opener=_private) as file:
                file.write(value)
        except BaseException:
            self.remove([name])
            raise

    def read(self, name: str) -> bytes | None:
        """What is in a file; None when there is none of that name."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, names: Iterable[str]) -> None:
        """Remove files, as far as that is possible; the sweep finds what is left."""
        for name in names:
            if _NAME.fullmatch(name):
                with contextlib.suppress(OSError):
                    (self._folder / name).unlink()

    def old(self) -> set[str]:
        """The files that no put can be writing any more."""
        limit_s = WallClock().utc_now().timestamp() - _ABANDONED_S
        # Where none can be listed none is removed, this time.
        with contextlib.suppress(OSError), os.scandir(self._folder) as files:
            return {file.name for file in files if _NAME.fullmatch(file.name) and _made_s(file) < limit_s}
        return set()


def value_bytes(folder: Path) -> int:
    """Bytes of all files of values in a cache's folder."""
    with contextlib.suppress(OSError), os.scandir(folder / FOLDER) as files:
        # A file's name says how large it is, also when it is removed meanwhile.
        return sum(int(file.name.partition("-")[0]) for file in files if _NAME.fullmatch(file.name))
    return 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _made_s(file: os.DirEntry[str]) -> float:
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        # Removed since it was listed.
        return float("inf")
