import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarmlab.data import fingerprint, open_dataset
from swarmlab.errors import DataError

HEADER = "sale_date,brand,category,units_sold,total_revenue\n"
GOOD = "2024-01-05,A,X,1,2.50\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2024-13-45,A,X,1,2", "column sale_date: '2024-13-45' is not a date"),
        ("2024-02-30,A,X,1,2", "column sale_date: '2024-02-30' is not a date"),
        ("06/01/2024,A,X,1,2", "column sale_date: '06/01/2024' is not a date written as in other rows"),
        ("yesterday,A,X,1,2", "column sale_date: 'yesterday' is not a date"),
        (",A,X,1,2", "column sale_date: is empty"),
        ("1066-10-14,A,X,1,2", "column sale_date: 1066-10-14 is outside the years"),
        ("2024-01-06,,X,1,2", "column brand: is empty"),
        ("2024-01-06,A,,1,2", "column category: is empty"),
        ("2024-01-06,A,X,,2", "column units_sold: is empty"),
        ("2024-01-06,A,X,1,", "column total_revenue: is empty"),
        ("2024-01-06,A,X,NaN,2", "column units_sold: is empty"),
        ("2024-01-06,A,X,-3,2", "column units_sold: -3.0 is negative"),
        ("2024-01-06,A,X,1,-2", "column total_revenue: -2.0 is negative"),
        ("2024-01-06,A,X,inf,2", "column units_sold: inf is infinite"),
        ("2024-01-06,A,X,1,-inf", "column total_revenue: -inf is infinite"),
        ("2024-01-06,A,X,three,2", "column units_sold: 'three' is not a number"),
        ("2024-01-06,A,X,1,$2.50", "column total_revenue: '$2.50' is not a number"),
        ('2024-01-06,A,X,1,"1,200.00"', "column total_revenue: '1,200.00' is not a number"),
        ("2024-01-06,A,X,1,2,9", "6 fields where the header has 5"),
        ("2024-01-06,A,X,1", "4 fields where the header has 5"),
        ("2024-01-06", "1 fields where the header has 5"),
    ],
)
@pytest.mark.parametrize("place", [1, 3])
def test_a_bad_row_is_named_with_row_line_and_column(refused, row, said, place):
    """Each fault in a row names the row, its line in the file and the column, wherever the row stands."""
    rows = [GOOD] * 4
    rows.insert(place - 1, row + "\n")
    message = refused(HEADER + "".join(rows))
    if place == 1 and "06/01" in row:
        assert "row 1 (line 2), column sale_date" in message
    assert message.startswith(f"FILE: row {place} (line {place + 1}), column ")
    assert said in message


def test_truth_values_are_no_numbers(refused):
    """A column of true and false is not taken for ones and zeros."""
    message = refused(HEADER + "2024-01-05,A,X,TRUE,2\n2024-01-06,A,X,FALSE,2\n")
    assert "row 1 (line 2), column units_sold: 'TRUE' is not a number" in message


def opened_or_refused(path):
    """The dataset, or None and the text of the error."""
    try:
        return open_dataset(str(path), cache_dir=path.parent / "cache"), ""
    except DataError as error:
        return None, str(error)


# A year before year one, which strftime cannot print.
@example(cuts=[(76, 0, b"-")])
@settings(max_examples=40, deadline=None)
@given(
    cuts=st.lists(
        st.tuples(
            st.integers(0, 200),
            st.integers(0, 3),
            st.sampled_from(
                [b"", b",", b'"', b"\n", b"\r", b";", b"-", b"9", b"x", b"\xff", b"\x00", b"nan", b" "]
            ),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_damage_is_read_alike_or_refused(cuts, tmp_path_factory):
    """A file damaged anywhere is either refused with one line or gives the same content by both readings."""
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray((HEADER + '2024-01-05,A,"X,1",1,2.50\n2024-02-06,B,Y,3,4\n' * 4).encode())
    for start, length, put in cuts:
        content[start : start + length] = put
    path = folder / "sales.csv"
    path.write_bytes(content)
    dataset, refusal = opened_or_refused(path)
    if dataset is None:
        assert refusal.startswith(str(path))
        assert "\n" not in refusal
        return
    assert fingerprint(dataset.read()) == fingerprint(dataset.load()) == dataset.fingerprint


def test_lines_count_through_blank_lines_and_quoted_breaks(refused):
    """The line is the physical one even where rows and lines part."""
    message = refused(HEADER + '2024-01-05,A,"X\nY",1,2\n\n2024-01-06,B,X,-1,2\n')
    assert "row 2 (line 5), column units_sold" in message


def test_one_error_counts_the_rows_alike(refused):
    """Many rows with one fault are one line that says how many."""
    message = refused(HEADER + GOOD + "2024-01-06,A,X,-1,2\n" * 3)
    assert "row 2 (line 3), column units_sold: -1.0 is negative (so are 2 more rows)" in message


def test_the_first_bad_row_comes_first(refused):
    """Of several faults the one highest in the file is reported."""
    message = refused(HEADER + "2024-01-06,A,X,1,-2\n2024-01-06,A,X,-1,2\n")
    assert "row 1 (line 2), column total_revenue" in message


def test_a_null_in_an_optional_number_is_fine_but_a_negative_is_not(refused):
    """Optional columns are checked as well."""
    header = HEADER.replace("\n", ",cost_per_unit\n")
    assert "row 2 (line 3), column cost_per_unit: -1.0 is negative" in refused(
        header + "2024-01-05,A,X,1,2,\n2024-01-05,A,X,1,2,-1\n"
    )


def test_a_short_row_before_an_unused_text_column_is_found(refused):
    """Fields missing at the end of a row are found even where only an extra column would go without."""
    header = HEADER.replace("\n", ",remark\n")
    assert "row 2 (line 3), column total_revenue: 5 fields where the header has 6" in refused(
        header + "2024-01-05,A,X,1,2,fine\n2024-01-05,A,X,1,2\n"
    )


def test_day_and_month_that_could_be_swapped_are_refused(refused):
    """Where no row tells day from month, nobody guesses."""
    message = refused(HEADER + "05/05/2024,A,X,1,2\n03/04/2024,A,X,1,2\n")
    assert "row 2 (line 3), column sale_date: '03/04/2024' may be 03 April 2024 or 04 March 2024" in message
    assert "YYYY-MM-DD" in message


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("sale_date,brand,category,total_revenue\n", "missing required column units_sold; add it"),
        ("Sale Date,brand,category,units_sold,total_revenue\n", "rename column 'Sale Date' to 'sale_date'"),
        ("sale_date,brand,category,units,total_revenue\n", "rename column 'units' to 'units_sold'"),
        ("sale_date,brand,category,units_sold,revenue\n", "rename column 'revenue' to 'total_revenue'"),
        ("sale_date, brand,category,units_sold,total_revenue\n", "rename column ' brand' to 'brand'"),
        ("a,b,c,d,e\n", "missing required columns sale_date, brand, category, units_sold, total_revenue"),
        ("sale_date,brand,brand,category,units_sold,total_revenue\n", "column 'brand' occurs 2 times"),
        (
            "sale_date;brand;category;units_sold;total_revenue\n",
            "line 1: the columns are separated by semicolons",
        ),
        ("sale_date\tbrand\tcategory\tunits_sold\ttotal_revenue\n", "separated by tabs"),
    ],
)
def test_a_wrong_header_says_which_column_and_what_to_do(refused, header, said):
    """Missing, misspelt and doubled columns and other separators are told apart."""
    assert said in refused(header + GOOD)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n\n  \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"\n\n\n\n" + HEADER.encode(), "has a header but no rows"),
        (HEADER.encode(), "has a header but no rows"),
        (HEADER.encode() + b"\n\n", "has a header but no rows"),
        (HEADER.encode("utf-16"), "UTF-16"),
        (b"PAR1xxxx", "a Parquet file; give it the suffix .parquet"),
        (b"PK\x03\x04rest", "zip or Excel"),
        (HEADER.encode() + b"2024-01-05,A\x00B,X,1,2\n", "zero byte"),
    ],
)
def test_what_is_no_csv_is_named(refused, content, said):
    """Empty files and other kinds of file are recognised."""
    assert said in refused(content)


def test_a_wrong_encoding_is_placed_by_byte_and_line(refused):
    """Latin-1 text is refused with its byte offset, line and likely character."""
    start = (HEADER + GOOD * 2 + "2024-01-05,Caf").encode()
    message = refused(start + b"\xe9,X,1,2\n")
    assert f"line 4: byte {len(start)} (0xE9) is not UTF-8" in message
    assert "'é'" in message


def test_a_file_cut_within_a_character_is_refused(refused):
    """An encoding that ends in the middle of a character is found at the end."""
    assert "line 3: byte" in refused((HEADER + GOOD + "2024-01-05,Café").encode()[:-1])


def test_an_open_quote_is_refused(refused):
    """A quote that is never closed swallows rows, and is refused."""
    assert "FILE: " in refused(HEADER + GOOD + '2024-01-05,"A,X,1,2\n' + GOOD)


@pytest.mark.parametrize("line", [1, 2, 7_000])
def test_an_open_quote_in_a_long_file_is_placed(refused, line):
    """Where the quote swallows more than a field may hold, the line it opens on is named."""
    lines = [HEADER, *[GOOD] * 15_000]
    lines[line - 1] = lines[line - 1].replace("brand", '"brand').replace("A", '"A')
    message = refused("".join(lines))
    assert message.startswith(f"FILE: line {line}: the record that begins here cannot be read")
    assert "a quote is not closed: close or remove it" in message


def test_a_fault_below_an_overlong_field_is_still_one_error(refused):
    """Looking for the line of a bad row fails as plainly as reading the first rows does."""
    overlong = f'2024-01-05,A,"{"x" * 140_000}",1,2\n'
    assert "FILE: line 3: " in refused(HEADER + GOOD + overlong + "2024-01-05,A,X,-1,2\n")


def frame(**changes):
    """A small good frame with columns changed."""
    columns = {
        "sale_date": pd.to_datetime(["2024-01-05", "2024-01-06"]),
        "brand": ["A", "B"],
        "category": ["X", "X"],
        "units_sold": [1, 2],
        "total_revenue": [1.0, 2.0],
    }
    return pd.DataFrame(columns | changes)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (frame(units_sold=[1, -2]), "row 2, column units_sold: -2.0 is negative"),
        (frame(total_revenue=[1.0, np.inf]), "row 2, column total_revenue: inf is infinite"),
        (frame(total_revenue=["1", "2"]), "row 1, column total_revenue: '1' is not a number"),
        (frame(units_sold=[True, False]), "row 1, column units_sold"),
        (frame(sale_date=["2024-01-05", "soon"]), "row 2, column sale_date: 'soon' is not a date"),
        (frame(sale_date=pd.to_datetime(["2024-01-05", None])), "row 2, column sale_date: is empty"),
        (frame(brand=["A", None]), "row 2, column brand: is empty"),
        (frame(brand=["A", ""]), "row 2, column brand: is empty"),
        (frame(brand=[b"A", b"B"]), "column brand: holds bytes"),
        (frame().drop(columns="brand"), "missing required column brand"),
        (frame().iloc[:0], "no rows"),
        (b"not a parquet file at all", "cannot be read as Parquet"),
        (b"", "cannot be read as Parquet"),
    ],
)
def test_bad_parquet_is_named_with_row_and_column(refused, content, said):
    """The same faults in a Parquet name row and column; what is no Parquet is refused."""
    assert said in refused(content, "sales.parquet")


def test_paths_that_are_no_file_are_named(tmp_path):
    """A directory, a missing file, an unknown kind and a misspelt source each say what to do."""
    (tmp_path / "sales.csv").write_text(HEADER + GOOD)
    (tmp_path / "sales.xlsx").write_text("x")
    for spec, said in [
        (str(tmp_path), "is a directory"),
        (str(tmp_path / "sale.csv"), r"no such file; did you mean sales\.csv\?"),
        (str(tmp_path / "sales.xlsx"), r"suffix \.csv or \.parquet"),
        ("grocry", "did you mean grocery"),
        ("", "grocery, beverage or a file's path"),
    ]:
        with pytest.raises(DataError, match=said):
            open_dataset(spec, cache_dir=tmp_path / "cache")


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    """A file the user may not read is an error about permissions."""
    path = tmp_path / "sales.csv"
    path.write_text(HEADER + GOOD)

    def denied(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("swarmlab.data.opening.file_digest", denied)
    with pytest.raises(DataError, match=r"sales\.csv: cannot be read \(Permission denied\)"):
        open_dataset(str(path), cache_dir=tmp_path / "cache")


def test_a_refused_file_leaves_nothing_behind(tmp_path):
    """No copy and no entry of a bad file is kept."""
    path = tmp_path / "sales.csv"
    path.write_text(HEADER + "2024-01-06,A,X,-3,2\n")
    with pytest.raises(DataError):
        open_dataset(str(path), cache_dir=tmp_path / "cache")
    kept = [item for item in (tmp_path / "cache").rglob("*") if item.is_file() and item.suffix != ".lock"]
    assert kept == []
