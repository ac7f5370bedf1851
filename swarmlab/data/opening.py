"""open_dataset: from a name or a path to a checked dataset."""

import difflib
import hashlib
import re
from pathlib import Path
from typing import Final

from swarmlab.data.beverage import beverage_file
from swarmlab.data.cache import DataCache, Entry, file_digest
from swarmlab.data.check import check_file
from swarmlab.data.dataset import Dataset
from swarmlab.data.grocery import grocery_file
from swarmlab.data.notes import file_notes
from swarmlab.data.parts import is_parquet, parts_of
from swarmlab.data.tables import CSV_SUFFIXES, PARQUET_SUFFIXES
from swarmlab.data.typed_copy import copy_fingerprint
from swarmlab.errors import DataError, SpecError

SOURCES: Final = ("grocery", "beverage")
DEFAULT_ROWS, DEFAULT_SEED = 100_000, 7
MOST_ROWS: Final = 100_000_000
"""Of generated data, which are made in memory."""


def open_dataset(spec: str, *, cache_dir: Path | None = None) -> Dataset:
    """Open a dataset by name or path; it is checked on first sight and quick to open again.

    Parameters
    ----------
    spec
        `grocery`; `beverage`, `beverage:1000000` or `beverage:rows=1000000,seed=7`; or the path of a .csv or
        .parquet file, or of a folder of such files, all of one kind and with the same columns: their rows in
        the order of the files' names. Files may be larger than memory (see `swarmlab.data.memory`).
    cache_dir
        Where checked copies are kept; by default $SWARMLAB_CACHE_DIR or the user's cache directory.

    Raises
    ------
    DataError
        The file cannot be used; says where and what to do.
    SpecError
        Unknown or bad parameter of `beverage`.
    """
    name, _, parameters = spec.partition(":")
    if spec == "grocery":
        cache = DataCache(cache_dir)
        built = grocery_file(cache)
        return _open(
            built.path, cache, name="grocery", source="grocery", digest=built.digest, about=built.notes
        )
    if name == "beverage":
        rows, seed = _beverage_size(spec, parameters)
        cache = DataCache(cache_dir)
        built = beverage_file(cache, rows, seed)
        title = f"beverage-{rows}-s{seed}"
        return _open(built.path, cache, name=title, source="beverage", digest=built.digest, about=built.notes)
    path = _existing_file(spec)
    return _open(path, DataCache(cache_dir), name=path.stem, source="file", digest=_digest(path), about=())


def _open(
    path: Path, cache: DataCache, *, name: str, source: str, digest: str, about: tuple[str, ...]
) -> Dataset:
    key = f"{digest}-{'parquet' if is_parquet(parts_of(path)[0]) else 'csv'}"
    entry = cache.find(key)
    if entry is None:
        with cache.lock(key):
            entry = cache.find(key) or _checked(path, cache, key)
    return Dataset(
        name=name,
        source=source,
        path=path,
        columnar=cache.columnar(entry.fingerprint),
        fingerprint=entry.fingerprint,
        rows=entry.rows,
        columns=entry.columns,
        notes=(*about, *entry.notes),
        date_form=entry.date_form,
    )


def _checked(path: Path, cache: DataCache, key: str) -> Entry:
    """Check a file or folder on first sight, and keep its typed copy and what was found out."""
    with cache.draft(key) as draft:
        found = check_file(path, draft)
        notes = file_notes(draft, found.columns, found.names, found.empty, found.date_form, cache.spill)
        entry = Entry(copy_fingerprint(draft), found.rows, found.columns, notes, found.date_form)
        return cache.keep(key, draft, entry)


def _beverage_size(spec: str, parameters: str) -> tuple[int, int]:
    values = {"rows": DEFAULT_ROWS, "seed": DEFAULT_SEED}
    for part in filter(None, parameters.split(",")):
        name, equals, value = part.partition("=")
        if not equals:
            name, value = "rows", part
        if name.strip() not in values:
            raise SpecError(f"data {spec!r}: unknown parameter {name.strip()!r}; use rows and seed")
        if not re.fullmatch(r"\d{1,15}", value.strip().replace("_", "")):
            raise SpecError(
                f"data {spec!r}: {name.strip()} must be a whole number of up to 15 digits, not {value!r}"
            )
        values[name.strip()] = int(value.replace("_", ""))
    if values["rows"] < 1:
        raise SpecError(f"data {spec!r}: rows must be 1 or more")
    if values["rows"] > MOST_ROWS:
        raise SpecError(f"data {spec!r}: rows must be at most {MOST_ROWS:,}, for they are made in memory")
    return values["rows"], values["seed"]


def _existing_file(spec: str) -> Path:
    path = Path(spec).expanduser()
    if spec and path.is_dir():
        return parts_of(path)[0].parent.absolute()
    if not spec or not path.exists():
        raise DataError(f"{spec!r}: no such file{_suggestion(path)}; name grocery, beverage or a file's path")
    if path.suffix.lower() not in (*CSV_SUFFIXES, *PARQUET_SUFFIXES):
        raise DataError(
            f"{path}: cannot tell what it is; give it the suffix .csv or .parquet, for what it holds"
        )
    return path.absolute()


def _suggestion(path: Path) -> str:
    known = list(SOURCES)
    if path.parent.is_dir():
        known += [other.name for other in path.parent.iterdir()]
    near = difflib.get_close_matches(path.name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, or for a folder of those of its files in name order."""
    digests = [_file_digest(part) for part in parts_of(path)]
    return hashlib.sha256("".join(digests).encode()).hexdigest() if path.is_dir() else digests[0]


def _file_digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
