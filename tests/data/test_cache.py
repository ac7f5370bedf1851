import multiprocessing
import os
import shutil

import pytest

from swarmlab.data import opening
from swarmlab.data.opening import open_dataset
from swarmlab.errors import DataError

TEXT = "sale_date,brand,category,units_sold,total_revenue\n" + "2024-01-05,A,X,1,2.50\n" * 20


@pytest.fixture
def path(tmp_path):
    """A good small CSV."""
    file = tmp_path / "sales.csv"
    file.write_text(TEXT)
    return file


@pytest.fixture
def checks(monkeypatch):
    """The paths that were checked in full, in order."""
    seen = []
    real = opening.check_file
    monkeypatch.setattr(opening, "check_file", lambda path, copy: seen.append(path.name) or real(path, copy))
    return seen


def test_the_second_open_checks_nothing(path, tmp_path, checks):
    """A file whose bytes were seen before, even under another name, is not read again."""
    first = open_dataset(str(path), cache_dir=tmp_path / "cache")
    copy = path.with_name("copy.csv")
    shutil.copy(path, copy)
    assert open_dataset(str(path), cache_dir=tmp_path / "cache") == first
    assert open_dataset(str(copy), cache_dir=tmp_path / "cache").fingerprint == first.fingerprint
    assert checks == ["sales.csv"]


def test_a_change_that_keeps_size_and_time_is_seen(path, tmp_path, checks):
    """The content decides: one altered digit with the old size and time gives another dataset."""
    before = path.stat()
    first = open_dataset(str(path), cache_dir=tmp_path / "cache")
    path.write_text(TEXT[:-2] + "1\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    second = open_dataset(str(path), cache_dir=tmp_path / "cache")
    assert second.fingerprint != first.fingerprint
    assert second.load().total_revenue.iloc[-1] == 2.51
    assert checks == ["sales.csv"] * 2


@pytest.mark.parametrize(
    "damage", ["flipped", "cut", "gone", "checksum gone", "entry broken", "entry strange"]
)
def test_a_damaged_copy_is_rebuilt(path, tmp_path, checks, damage):
    """A copy or entry that is not what was written is never trusted but made anew."""
    dataset = open_dataset(str(path), cache_dir=tmp_path / "cache")
    rows = dataset.load()
    content = bytearray(dataset.columnar.read_bytes())
    (entry,) = (dataset.columnar.parents[1] / "files").glob("*.json")
    if damage == "flipped":
        content[len(content) // 2] ^= 1
        dataset.columnar.write_bytes(content)
    elif damage == "cut":
        dataset.columnar.write_bytes(content[:-10])
    elif damage == "gone":
        dataset.columnar.unlink()
    elif damage == "checksum gone":
        dataset.columnar.with_suffix(".json").unlink()
    else:
        entry.write_text("{" if damage == "entry broken" else '{"rows": 1}')
    again = open_dataset(str(path), cache_dir=tmp_path / "cache")
    assert again == dataset
    assert again.load().equals(rows)
    assert checks == ["sales.csv"] * 2


def test_a_copy_that_vanishes_after_opening_is_named(path, tmp_path):
    """load() from a cache that was emptied meanwhile says what to do."""
    dataset = open_dataset(str(path), cache_dir=tmp_path / "cache")
    dataset.columnar.unlink()
    with pytest.raises(DataError, match="open the data anew"):
        dataset.load()


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    """A generator that fails half-way leaves neither a part nor a file that looks whole."""

    def fails(*arguments):
        arguments[1].write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.csv.write_csv", fails)
    with pytest.raises(DataError, match="No space left on device"):
        open_dataset("beverage:50", cache_dir=tmp_path)
    assert [item.name for item in tmp_path.rglob("*.csv")] == []


def _open_in_child(cache_dir, queue):
    dataset = open_dataset("beverage:3000", cache_dir=cache_dir)
    queue.put((dataset.fingerprint, dataset.columnar.stat().st_ino, dataset.path.stat().st_ino))


def test_two_processes_share_one_copy(tmp_path):
    """Two processes that open the same new data at once end with the same single files."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    children = [context.Process(target=_open_in_child, args=(tmp_path, queue)) for _ in range(2)]
    for child in children:
        child.start()
    answers = [queue.get(timeout=60) for _ in children]
    for child in children:
        child.join()
    assert answers[0] == answers[1]
    assert list(tmp_path.rglob("*.part*")) == []
