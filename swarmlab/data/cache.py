"""What is kept of a data file once it was checked: a typed Parquet copy and what there is to know about it.

An entry is found by the SHA-256 of the file's bytes, never by its name or time, and each copy is hashed again
before it is trusted; one that does not match is rebuilt. Everything is written to a temporary name, flushed
to the disk and then renamed, under a lock, so that two processes or a kill leave whole files only.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from swarmlab.errors import DataError

LAYOUT = "data-2"
"""Names the folder inside the cache; raised when the checks or the copy's layout change."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the check of a file found out."""

    fingerprint: str
    rows: int
    columns: tuple[str, ...]
    notes: tuple[str, ...]
    date_form: str


@dataclass(frozen=True, slots=True)
class Built:
    """A file this project wrote into the cache, with the SHA-256 of its bytes."""

    path: Path
    digest: str
    notes: tuple[str, ...]


def default_cache_dir() -> Path:
    """Return $SWARMLAB_CACHE_DIR, or the user's cache directory for swarmlab."""
    chosen = os.environ.get("SWARMLAB_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("swarmlab"))


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class DataCache:
    """One folder of checked copies and built files."""

    def __init__(self, cache_dir: Path | None) -> None:
        self.root = (cache_dir or default_cache_dir()) / LAYOUT
        self._made(self.root)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of that name against every other process that uses this folder."""
        with filelock.FileLock(self._made(self.root / "locks") / f"{name}.lock"):
            yield

    def columnar(self, content: str) -> Path:
        """Return where the copy of the content with this fingerprint is."""
        return self.root / "columnar" / f"{content}.parquet"

    def find(self, key: str) -> Entry | None:
        """Return the entry under `key` if it is whole and its copy is what was written, else None."""
        kept = _read_json(self.root / "files" / f"{key}.json")
        if kept is None:
            return None
        try:
            entry = Entry(**{**kept, "columns": tuple(kept["columns"]), "notes": tuple(kept["notes"])})
        except (KeyError, TypeError):
            return None
        return entry if self._intact(entry.fingerprint) else None

    @property
    def spill(self) -> Path:
        """Folder for what work on data cannot hold in memory."""
        return self.root / "spill"

    @contextmanager
    def draft(self, key: str) -> Iterator[Path]:
        """Name a file for a copy that is being made; whatever is not kept in the end is removed."""
        draft = self._made(self.root / "columnar") / f"{key}.{os.getpid()}.part.parquet"
        try:
            yield draft
        except OSError as error:
            raise _unwritable(draft, error) from error
        finally:
            draft.unlink(missing_ok=True)
            draft.with_name(f"{draft.name}.narrow").unlink(missing_ok=True)

    def keep(self, key: str, draft: Path, entry: Entry) -> Entry:
        """Keep the copy that was drafted under its fingerprint, and the entry that leads to it."""
        copy = self.columnar(entry.fingerprint)
        with self.lock(entry.fingerprint):
            if not self._intact(entry.fingerprint):
                _flush(draft)
                digest = file_digest(draft)
                draft.replace(copy)
                _write_json(copy.with_suffix(".json"), {"sha256": digest})
        self._made(self.root / "files")
        _write_json(self.root / "files" / f"{key}.json", asdict(entry))
        return entry

    def build(self, name: str, write: Callable[[Path], tuple[str, ...]], *, suffix: str = ".csv") -> Built:
        """Return the built file `name`; unless it is whole, `write` writes it and returns its notes."""
        path = self._made(self.root / "built") / f"{name}{suffix}"
        with self.lock(name):
            kept = _read_json(path.with_suffix(".json"))
            if kept is not None and path.is_file() and file_digest(path) == kept.get("sha256"):
                return Built(path, kept["sha256"], tuple(kept["notes"]))
            notes: list[str] = []
            digest = _replace(path, lambda temporary: notes.extend(write(temporary)))
            _write_json(path.with_suffix(".json"), {"sha256": digest, "notes": notes})
        return Built(path, digest, tuple(notes))

    def _intact(self, content: str) -> bool:
        copy = self.columnar(content)
        kept = _read_json(copy.with_suffix(".json"))
        return kept is not None and copy.is_file() and file_digest(copy) == kept.get("sha256")

    def _made(self, folder: Path) -> Path:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(
                f"cannot write the cache folder {folder}: {error.strerror}; "
                "set SWARMLAB_CACHE_DIR to a folder you can write"
            ) from error
        return folder


def _replace(path: Path, write: Callable[[Path], object]) -> str:
    """Let `write` fill a temporary file, flush it, give it its name; return the SHA-256 of its bytes."""
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(temporary)
        _flush(temporary)
        digest = file_digest(temporary)
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return digest


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _unwritable(path: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write {path}: {error.strerror or error}; free some space, or set SWARMLAB_CACHE_DIR to "
        "a folder you can write"
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        kept = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return kept if isinstance(kept, dict) else None


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _replace(path, lambda temporary: temporary.write_text(json.dumps(value, indent=1)))
