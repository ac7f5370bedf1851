"""A user's own file with households, baskets, promotions, coupons and campaigns."""

import pandas as pd
import pytest

from swarmlab.data import open_dataset

HEADER = "sale_date,brand,category,units_sold,total_revenue"
ROWS = ("2023-01-01,A,Tea,1,2.5", "2023-01-02,B,Tea,2,5", "2023-01-03,A,Cola,1,1")


def _file(more: dict[str, tuple[str, str, str]]) -> str:
    lines = [",".join((HEADER, *more))]
    lines += [",".join((row, *(cells[i] for cells in more.values()))) for i, row in enumerate(ROWS)]
    return "\n".join(lines) + "\n"


def test_a_csv_with_them_simply_works(tmp_path):
    """Ids may be numbers or text, flags ones and zeros or empty; both readings give the same."""
    path = tmp_path / "sales.csv"
    path.write_text(
        _file(
            {
                "household_id": ("17", "x-9", ""),
                "basket_id": ("1", "2", "3"),
                "product": ("P1", "P2", "P1"),
                "on_promotion": ("1", "0", ""),
                "coupon_value": ("0.5", "0", ""),
                "campaign": ("spring", "spring", "spring"),
                "campaign_target": ("1", "0", "1"),
                "campaign_active": ("0", "0", "1"),
            }
        )
    )
    dataset = open_dataset(str(path), cache_dir=tmp_path / "cache")
    plain, typed = dataset.read(), dataset.load()
    for frame in (plain, typed):
        assert frame["household_id"].astype(object).where(frame["household_id"].notna(), None).tolist() == [
            "17",
            "x-9",
            None,
        ]
        assert frame["basket_id"].tolist() == ["1", "2", "3"]
        assert frame["on_promotion"].fillna(0).tolist() == [1.0, 0.0, 0.0]
        assert frame["coupon_value"].fillna(0).tolist() == [0.5, 0.0, 0.0]
    assert dataset.columns[5:] == (
        *("household_id", "basket_id", "product", "on_promotion", "coupon_value"),
        *("campaign", "campaign_target", "campaign_active"),
    )


def test_whole_numbers_and_text_are_the_same_ids(tmp_path):
    """A Parquet with ids as integers has the fingerprint of one with the same digits as text."""
    frame = pd.DataFrame(
        {
            "sale_date": pd.to_datetime(["2023-01-01", "2023-01-02"]),
            "brand": "A",
            "category": "Tea",
            "units_sold": 1.0,
            "total_revenue": 2.0,
            "household_id": [17, 4],
        }
    )
    frame.to_parquet(tmp_path / "numbers.parquet")
    frame.assign(household_id=["17", "4"]).to_parquet(tmp_path / "text.parquet")
    numbers, text = (
        open_dataset(str(tmp_path / name), cache_dir=tmp_path / "cache")
        for name in ("numbers.parquet", "text.parquet")
    )
    assert numbers.fingerprint == text.fingerprint
    assert numbers.load()["household_id"].tolist() == ["17", "4"]


@pytest.mark.parametrize(
    ("column", "cells", "trouble"),
    [
        ("on_promotion", ("1", "2", "0"), "row 2 (line 3), column on_promotion: 2.0 is neither 1 nor 0"),
        (
            "campaign_target",
            ("0", "1", "-1"),
            "row 3 (line 4), column campaign_target: -1.0 is neither 1 nor 0",
        ),
        (
            "campaign_active",
            ("yes", "no", "no"),
            "row 1 (line 2), column campaign_active: 'yes' is not a number",
        ),
        ("coupon_value", ("0", "-0.5", "0"), "row 2 (line 3), column coupon_value: -0.5 is negative"),
    ],
    ids=["two", "below", "words", "negative"],
)
def test_a_bad_flag_or_coupon_is_refused_by_row_and_column(refused, column, cells, trouble):
    """Anything but one and zero in a flag, and a coupon below zero, is named with its line."""
    assert trouble in refused(_file({column: cells}))
