"""Amounts that no sale has, and totals that cannot be added exactly."""

import duckdb
import pandas as pd
import pytest

from swarmlab.data import open_dataset

HEADER = "sale_date,brand,category,units_sold,total_revenue\n"
MORE = ["profit", "price_per_unit"]


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("units_sold", "1e15", "1000000000000000.0"),
        ("total_revenue", "1000000000001", "1000000000001.0"),
        ("profit", "-2e12", "-2000000000000.0"),
        ("price_per_unit", "1e300", "1e+300"),
    ],
)
def test_an_amount_beyond_belief_is_refused(refused, column, value, shown):
    """A number that no sale has, above or below zero, is named before it can overflow a sum."""
    rows = pd.DataFrame(
        [["2024-01-05", "A", "X", 1, 2, 1, 1]] * 3, columns=[*HEADER.strip().split(","), *MORE]
    )
    rows[column] = ["1", value, "1"]
    message = refused(rows.to_csv(index=False))
    assert f"row 2 (line 3), column {column}: {shown} is larger than 1,000,000,000,000" in message
    assert "not a plausible amount; correct it" in message


def test_a_cost_beyond_belief_is_refused(refused):
    """Where the cost follows from cost per unit and units, their product is bounded as well."""
    header = HEADER.replace("\n", ",cost_per_unit\n")
    message = refused(header + "2024-01-05,A,X,1,2,1e12\n2024-01-05,A,X,2,2,\n2024-01-05,A,X,2,2,1e12\n")
    assert "row 3 (line 4), column cost_per_unit: times units_sold is 2000000000000.0, larger than" in message


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_total_beyond_exact_sums_is_refused(refused, sign):
    """The row that takes a column's total beyond 64 bits of ten-thousandths is named."""
    header = HEADER.replace("\n", ",profit\n")
    message = refused(header + f"2024-01-05,A,X,1,2,{sign}1e12\n" * 950)
    assert "row 901 (line 902), column profit: brings the column's total above 900,000,000,000,000" in message


def test_the_largest_amounts_are_summed(tmp_path):
    """A file at the limits passes the checks, and its totals come out of SQL without an overflow."""
    path = tmp_path / "sales.csv"
    path.write_text(HEADER + "2024-01-05,A,X,1e12,1e12\n" * 900)
    dataset = open_dataset(str(path), cache_dir=tmp_path / "cache")
    ticks = "SELECT sum(CAST(total_revenue * 10000 AS BIGINT))::BIGINT FROM read_parquet(?)"
    assert duckdb.execute(ticks, [str(dataset.columnar)]).fetchone() == (9 * 10**18,)
