"""Files read in chunks, folders of files, and the memory limit."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from swarmlab.data import chunks, fingerprint, open_dataset
from swarmlab.data.beverage import generate
from swarmlab.data.memory import bounded_database, csv_buffers, memory_limit
from swarmlab.errors import DataError, SpecError

HEADER = "sale_date,brand,category,units_sold,total_revenue\n"
GOOD = "2024-01-05,A,X,1,2.50\n"


@pytest.fixture
def sales():
    """A thousand generated sales as a frame."""
    return generate(1_000, 5).to_pandas()


@pytest.fixture
def small_chunks(monkeypatch):
    """Files are read seven rows at a time."""
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 7)


def write(frame, path):
    """Write a frame as its suffix says."""
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


def opened(path, tmp_path, cache="cache"):
    """Open a path with a cache of its own."""
    return open_dataset(str(path), cache_dir=tmp_path / cache)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_chunks_do_not_show(sales, tmp_path, monkeypatch, kind):
    """Read in many chunks, a file with gaps gives the content, the notes and the frame of one chunk."""
    sales.loc[::3, "region"] = None
    sales.loc[::5, "price_per_unit"] = None
    path = write(sales, tmp_path / f"sales.{kind}")
    whole = opened(path, tmp_path, "whole")
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 83)
    parts = opened(path, tmp_path, "parts")
    assert pq.ParquetFile(parts.columnar).num_row_groups == 13
    for name in ("fingerprint", "rows", "columns", "notes", "date_form"):
        assert getattr(parts, name) == getattr(whole, name)
    pd.testing.assert_frame_equal(parts.load(), whole.load())
    assert fingerprint(parts.load()) == fingerprint(parts.read()) == parts.fingerprint
    pieces = pd.concat(parts.chunks(91), ignore_index=True)
    pd.testing.assert_frame_equal(pieces, parts.read())


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_is_its_files_in_name_order(sales, tmp_path, kind):
    """The parts of a file in a folder have the fingerprint, the rows and the facts of the file."""
    whole = opened(write(sales, tmp_path / f"whole.{kind}"), tmp_path)
    folder = tmp_path / "sales"
    for number, start in enumerate((0, 300, 310)):
        part = sales.iloc[start : (300, 310, 1000)[number]]
        write(part[part.columns[:: 1 - 2 * (number == 1)]], folder / f"part-{number}.{kind}")
    (folder / "_SUCCESS").touch()
    (folder / ".hidden").touch()
    dataset = opened(folder, tmp_path)
    assert (dataset.fingerprint, dataset.rows, dataset.name) == (whole.fingerprint, 1000, "sales")
    pd.testing.assert_frame_equal(dataset.read(), whole.read())
    assert dataset.size_bytes == sum(part.stat().st_size for part in folder.glob(f"*.{kind}"))


def test_names_of_numbers_are_one_in_all_files(tmp_path):
    """Whether 330.0 is written 330 is decided over all chunks and files of a folder, as over one file."""
    frame = pd.DataFrame(
        {"sale_date": pd.Timestamp("2024-01-01"), "brand": "A", "category": "X"}
        | {"units_sold": 1.0, "total_revenue": 2.0, "store_id": [330.0, 331.0, np.nan, 1.5]}
    )
    write(frame.iloc[:2], tmp_path / "s" / "a.parquet")
    write(frame.iloc[2:], tmp_path / "s" / "b.parquet")
    write(frame, tmp_path / "whole.parquet")
    split = opened(tmp_path / "s", tmp_path)
    assert split.fingerprint == opened(tmp_path / "whole.parquet", tmp_path).fingerprint
    assert split.load().store_id.tolist()[:2] == ["330.0", "331.0"]


def test_a_changed_folder_is_another_dataset(sales, tmp_path):
    """A file added, altered in place or put in another order changes the fingerprint at the next opening."""
    folder = tmp_path / "sales"
    write(sales.iloc[:500], folder / "a.csv")
    write(sales.iloc[500:], folder / "b.csv")
    prints = [opened(folder, tmp_path).fingerprint]
    text = (folder / "b.csv").read_text()
    stat = (folder / "b.csv").stat()
    (folder / "b.csv").write_text(text.replace("Cola", "Kola", 1))
    os.utime(folder / "b.csv", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    prints.append(opened(folder, tmp_path).fingerprint)
    (folder / "b.csv").rename(folder / "0.csv")
    prints.append(opened(folder, tmp_path).fingerprint)
    write(sales.iloc[:1], folder / "c.csv")
    prints.append(opened(folder, tmp_path).fingerprint)
    assert len(set(prints)) == 4


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "is a directory without a .csv or .parquet file"),
        ({"a.csv": HEADER + GOOD, "notes.txt": "x"}, "neither CSV nor Parquet, notes.txt"),
        ({"a.csv": HEADER + GOOD, "b.parquet": "x"}, "both CSV and Parquet files, a.csv and b.parquet"),
        ({"a.csv": HEADER + GOOD, "b.csv": HEADER}, "b.csv: has a header but no rows"),
        ({"a.csv": HEADER + GOOD, "b.csv": GOOD}, "b.csv: missing required columns sale_date"),
        (
            {"a.csv": HEADER + GOOD, "b.csv": HEADER.strip() + ",profit\n" + GOOD.strip() + ",1\n"},
            "b.csv: adds column 'profit', unlike a.csv; the files of a folder must have the same columns",
        ),
        (
            {"a.csv": HEADER + GOOD * 9, "b.csv": HEADER + GOOD * 8 + "2024-01-05,A,X,-1,2\n" * 2},
            "b.csv: row 9 (line 10), column units_sold: -1.0 is negative (so are 1 more rows)",
        ),
        (
            {"a.csv": HEADER + GOOD * 9, "b.csv": HEADER + GOOD * 8 + "06/01/2024,A,X,1,2\n"},
            "b.csv: row 9 (line 10), column sale_date: '06/01/2024' is not a date written as in other rows",
        ),
    ],
)
def test_a_bad_folder_names_the_file(tmp_path, small_chunks, files, said):
    """What is wrong with a folder, or with a row of one of its files, is named with that file."""
    folder = tmp_path / "sales"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(DataError) as caught:
        opened(folder, tmp_path)
    assert said in str(caught.value)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2024-01-06,A,X,three,2", "column units_sold: 'three' is not a number"),
        ("2024-13-45,A,X,1,2", "column sale_date: '2024-13-45' is not a date"),
        (",A,X,1,2", "column sale_date: is empty; fill it in"),
        ("2024-01-06,A,X,-1,2", "column units_sold: -1.0 is negative"),
        ("2024-01-06,A,X,1,2,9", "column total_revenue: 6 fields where the header has 5"),
        ("2024-01-06,A,X,1", "column units_sold: 4 fields where the header has 5"),
        ("2024-01-06,A,X,TRUE,2", "column units_sold: 'TRUE' is not a number"),
    ],
)
def test_a_bad_row_in_a_late_chunk_is_named(refused, small_chunks, row, said):
    """A fault in a later chunk is named as it is in the first: row, line, column, and what to do."""
    message = refused(HEADER + GOOD * 40 + row + "\n" + GOOD * 20)
    assert message.startswith("FILE: row 41 (line 42), ")
    assert said in message


def test_alike_faults_are_counted_over_chunks(refused, small_chunks):
    """The first bad row is named with how many more there are in the whole file."""
    message = refused(HEADER + (GOOD * 10 + "2024-01-06,A,X,-1,2\n" + "2024-01-06,A,X,1,-2\n") * 3)
    assert "row 11 (line 12), column units_sold: -1.0 is negative (so are 2 more rows)" in message


def test_totals_are_carried_over_chunks(refused, small_chunks):
    """The row that takes a column's total too far is found where the chunks before it count."""
    message = refused(HEADER + "2024-01-05,A,X,1,1e12\n" * 950)
    assert "row 901 (line 902), column total_revenue: brings the column's total above" in message


def test_a_form_of_dates_that_a_later_row_decides(tmp_path, small_chunks):
    """Days and months that the first chunks leave open are read as a late row settles it."""
    days = ["03/04/2024"] * 20 + ["04/25/2024"]
    path = tmp_path / "sales.csv"
    path.write_text(HEADER + "".join(f"{day},A,X,1,2\n" for day in days))
    dataset = opened(path, tmp_path)
    assert dataset.date_form == "%m/%d/%Y"
    assert dataset.load().sale_date.dt.month.tolist() == [3] * 20 + [4]
    assert fingerprint(dataset.read()) == dataset.fingerprint


def test_a_column_that_is_empty_in_some_chunks_stays(tmp_path, small_chunks):
    """A column counts as absent only if no row of any chunk has a value."""
    header = HEADER.replace("\n", ",profit,region\n")
    path = tmp_path / "sales.csv"
    path.write_text(header + (GOOD.strip() + ",,\n") * 20 + GOOD.strip() + ",1,\n")
    dataset = opened(path, tmp_path)
    assert dataset.columns[-1] == "profit"
    assert "columns without any value, treated as absent: region" in dataset.notes
    assert "profit is empty in 20 rows" in dataset.notes
    assert fingerprint(dataset.load()) == dataset.fingerprint


@pytest.mark.parametrize(
    ("text", "limit"), [("", 1 << 30), ("2GiB", 2 << 30), ("500 MB", 500_000_000), ("536870912", 1 << 29)]
)
def test_the_memory_limit_is_read_with_its_unit(monkeypatch, text, limit):
    """Bytes, decimal and binary units; 1 GiB where nothing is set."""
    monkeypatch.setenv("SWARMLAB_MEMORY_LIMIT", text)
    assert memory_limit() == limit


@pytest.mark.parametrize(
    ("text", "said"), [("much", "is no size"), ("-1GB", "is no size"), ("1MB", "256MiB")]
)
def test_a_memory_limit_that_is_none_is_refused(monkeypatch, text, said):
    """What is no size, or too small to work in, is an error that names the variable."""
    monkeypatch.setenv("SWARMLAB_MEMORY_LIMIT", text)
    with pytest.raises(SpecError, match=f"SWARMLAB_MEMORY_LIMIT .*{said}"):
        memory_limit()


def test_a_database_keeps_to_the_limit_and_says_when_it_cannot(tmp_path, monkeypatch):
    """Sorting more than the limit goes over the disk; what cannot is an error that names the variable."""
    monkeypatch.setenv("SWARMLAB_MEMORY_LIMIT", "256MiB")
    with bounded_database(tmp_path / "spill") as connection:
        connection.execute("SELECT count(*) FROM (SELECT hash(range) AS h FROM range(9000000) ORDER BY h)")
        assert connection.fetchone() == (9_000_000,)
    hungry = "SELECT list(hash(range) ORDER BY hash(range)) FROM range(9000000)"
    with (
        pytest.raises(DataError, match="set SWARMLAB_MEMORY_LIMIT higher"),
        bounded_database(tmp_path / "spill") as connection,
    ):
        connection.execute(hungry)


@pytest.mark.parametrize(
    ("limit", "cores", "mib"), [("1GiB", 2, 128), ("256MiB", 2, 102), ("4GiB", 2, 512), ("1GiB", 64, 409)]
)
def test_a_csv_is_read_with_little_more_than_its_threads_need(tmp_path, monkeypatch, limit, cores, mib):
    """DuckDB may fill an eighth of the limit, more where threads are many, never more than its share."""
    monkeypatch.setenv("SWARMLAB_MEMORY_LIMIT", limit)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    with bounded_database(tmp_path / "spill", csv_buffers()) as connection:
        ((shown,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    assert int(float(shown.split()[0])) == mib


PEAK = """
import sys
from pathlib import Path
from swarmlab.data import open_dataset
from swarmlab.errors import DataError
from swarmlab.tools import Scope, run_tool
try:
    dataset = open_dataset(sys.argv[1], cache_dir=Path(sys.argv[2]))
    for tool in ("market_share", "kpis", "recommendations"):
        run_tool(tool, Scope(), dataset, "vectorized")
    print(dataset.rows)
except DataError as error:
    print(error)
(peak,) = (line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(int(peak) // 1024)
"""
"""Not by getrusage: its ru_maxrss starts at the peak of the process that started this one."""


def in_a_process(path: Path, cache: Path, limit: str) -> tuple[str, int]:
    """Open and analyse a file in a process of its own; what it printed and its peak of memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), str(cache)],
        env=os.environ | {"SWARMLAB_MEMORY_LIMIT": limit},
        capture_output=True,
        text=True,
        check=True,
    )
    said, peak = done.stdout.strip().splitlines()
    return said, int(peak)


@pytest.fixture(scope="module")
def large_csv(tmp_path_factory):
    """3.5 million short rows, 82 MB."""
    path = tmp_path_factory.mktemp("large") / "large.csv"
    with path.open("w") as file:
        file.write(HEADER)
        for _ in range(35):
            file.write(GOOD * 100_000)
    return path


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")


@pytest.mark.long
@needs_proc
@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            b"2024-01-06,A,X,three,2\n",
            "row 3000001 (line 3000002), column units_sold: 'three' is not a number",
        ),
        (b"2024-13-45,A,X,1,2\n", "row 3000001 (line 3000002), column sale_date: '2024-13-45' is not a date"),
        (b"2024-01-06,A,X,1,2,9\n", "row 3000001 (line 3000002), column total_revenue: 6 fields where"),
        (b"2024-01-06,A,X,1\n", "row 3000001 (line 3000002), column units_sold: 4 fields where"),
        (b"2024-01-06,A,X\x00,1,2\n", "line 3000002: holds a zero byte"),
        (b"2024-01-06,Caf\xe9,X,1,2\n", "line 3000002: byte 66000064 (0xE9) is not UTF-8"),
    ],
)
def test_a_bad_row_deep_in_a_large_file_is_named(large_csv, tmp_path, row, said):
    """Row 3,000,001 is named exactly, whatever is wrong with it, within the memory limit."""
    at = len(HEADER) + 3_000_000 * len(GOOD)
    content = large_csv.read_bytes()
    path = tmp_path / "broken.csv"
    path.write_bytes(content[:at] + row + content[at:])
    message, peak = in_a_process(path, tmp_path / "cache", "1GiB")
    assert said in message
    assert peak < 1024


@pytest.mark.long
@needs_proc
def test_a_file_larger_than_the_limit_is_opened_and_analysed(tmp_path):
    """A CSV of 400 MB, 1.3 GB as a frame, and its folder of Parquet stay under 600 MiB at a limit of 512."""
    folder = tmp_path / "parquet"
    folder.mkdir()
    path = tmp_path / "sales.csv"
    for number in range(4):
        part = generate(1_000_000, number)
        pq.write_table(part, folder / f"{number}.parquet")
        part.to_pandas().to_csv(path, index=False, mode="a", header=number == 0)
    for source in (path, folder):
        said, peak = in_a_process(source, tmp_path / "cache", "512MiB")
        assert said == "4000000"
        assert peak < 600
    prints = {
        open_dataset(str(source), cache_dir=tmp_path / "cache").fingerprint for source in (path, folder)
    }
    assert len(prints) == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_flags_may_be_truth_values(sales, tmp_path, kind):
    """True, false and empty in a flag are 1, 0 and empty: the same dataset, whichever way it is written."""
    sales["on_promotion"] = [True, False, None, True] * 250
    words = opened(write(sales, tmp_path / f"words.{kind}"), tmp_path)
    sales["on_promotion"] = sales.on_promotion.astype("float64")
    numbers = opened(write(sales, tmp_path / f"numbers.{kind}"), tmp_path)
    assert words.fingerprint == numbers.fingerprint
    pd.testing.assert_frame_equal(words.load(), numbers.load())
    pd.testing.assert_frame_equal(words.read(), numbers.read())


def test_a_flag_that_mixes_words_and_numbers_is_named(refused):
    """A flag of both kinds is refused, with what to write instead."""
    header = HEADER.strip() + ",on_promotion\n"
    message = refused(header + GOOD.strip() + ",1\n" + GOOD.strip() + ",True\n")
    assert (
        "row 2 (line 3), column on_promotion: 'True' is not a number; write 1 for yes and 0 for no" in message
    )
