"""The files that a path stands for: one, or those of a folder in name order, all of one kind."""

from pathlib import Path

from swarmlab.data.tables import CSV_SUFFIXES, PARQUET_SUFFIXES
from swarmlab.errors import DataError


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return the data files at a path, in name order.

    Parameters
    ----------
    path
        A CSV or Parquet file, or a folder of files of one of these kinds. Names that begin with a point or an
        underscore, and folders within, are passed over.

    Raises
    ------
    DataError
        A folder without such files, with others among them, or with both kinds.
    """
    if not path.is_dir():
        return (path,)
    files = sorted(item for item in path.iterdir() if item.is_file() and item.name[0] not in "._")
    known = (*CSV_SUFFIXES, *PARQUET_SUFFIXES)
    for item in files:
        if item.suffix.lower() not in known:
            raise DataError(
                f"{path}: is a directory with a file that is neither CSV nor Parquet, {item.name}; "
                "keep only .csv or only .parquet files in it, or name one file"
            )
    if not files:
        raise DataError(
            f"{path}: is a directory without a .csv or .parquet file; name a file, or put some in it"
        )
    for item in files[1:]:
        if is_parquet(item) != is_parquet(files[0]):
            raise DataError(
                f"{path}: is a directory with both CSV and Parquet files, {files[0].name} and {item.name}; "
                "keep one kind"
            )
    return tuple(files)


def is_parquet(path: Path) -> bool:
    """Tell by the suffix whether a file is Parquet; else it is CSV."""
    return path.suffix.lower() in PARQUET_SUFFIXES


def check_same_columns(parts: tuple[Path, ...], names: tuple[tuple[str, ...], ...]) -> None:
    """Raise DataError, naming the file, if the files of a folder differ in the columns they have."""
    for path, found in zip(parts, names, strict=True):
        missing = [name for name in names[0] if name not in found]
        added = [name for name in found if name not in names[0]]
        if missing or added:
            differs = "lacks" if missing else "adds"
            raise DataError(
                f"{path}: {differs} column {(missing or added)[0]!r}, unlike {parts[0].name}; the files of a "
                "folder must have the same columns"
            )
