"""The canonical sales frame: its columns, their kinds and what each may hold."""

from typing import Final

import numpy as np
import pandas as pd
import pandera.pandas as pa

CANONICAL: Final = (
    "sale_date",
    "region",
    "country",
    "store_id",
    "brand",
    "category",
    "units_sold",
    "price_per_unit",
    "total_revenue",
    "cost_per_unit",
    "total_cost",
    "profit",
    "profit_margin",
)
"""`profit_margin` is in percent; money is in the file's own currency, per row."""

REQUIRED: Final = ("sale_date", "brand", "category", "units_sold", "total_revenue")

EXTENSIONS: Final = (
    "discount_value",
    "household_id",
    "basket_id",
    "product",
    "on_promotion",
    "coupon_value",
    "campaign",
    "campaign_target",
    "campaign_active",
)
"""What more a row may say, each used by some tools:

- discount_value: currency given away on the row: list value = total_revenue + discount_value.
- household_id, basket_id: who bought (a household, customer or card), and in which purchase; text or numbers.
- product: what was sold, finer than the category: an article, or a group of them.
- on_promotion: 1 if the row was sold on display, in a mailer or the like, else 0.
- coupon_value: currency paid by coupon on the row.
- campaign, campaign_target, campaign_active: the campaign the row is looked at for (where there are several);
  1 if its household was targeted, 1 if the campaign ran on that day, else 0.
"""

DIMENSIONS: Final = (
    *("region", "country", "store_id", "brand", "category"),
    *("household_id", "basket_id", "product", "campaign"),
)
FLAGS: Final = ("on_promotion", "campaign_target", "campaign_active")
"""1 for yes and 0 for no, or true and false; empty is no."""
AMOUNTS: Final = (*CANONICAL[6:], "discount_value", "coupon_value")
"""Numbers of something, which no truth value can stand for."""
MEASURES: Final = (*AMOUNTS, *FLAGS)
SIGNED: Final = ("profit", "profit_margin")
"""Measures that may be below zero."""

ADDED: Final = ("units_sold", "total_revenue", "total_cost", "profit", "discount_value", "coupon_value")
"""Measures that are summed over rows, in whole ten-thousandths."""

LARGEST: Final = 1e12
"""The largest plausible number in a row, above or below zero."""
LARGEST_TOTAL: Final = 9e14
"""The largest total of a column, signs aside: in ten-thousandths, any sum of its rows fits in 64 bits."""

EARLIEST, LATEST = pd.Timestamp("1900-01-01"), pd.Timestamp("2199-12-31")

INFINITE = "is infinite; write a finite number"
NEGATIVE = "is negative; write zero or more, or leave returns out"
TOO_LARGE = f"is larger than {LARGEST:,.0f}, not a plausible amount; correct it, or use a larger unit"
NO_FLAG = "is neither 1 nor 0; write 1 for yes and 0 for no"
OUTSIDE = "is outside the years 1900 to 2199; correct the year"


def kept_columns(names: "list[str] | tuple[str, ...]") -> tuple[str, ...]:
    """Return the canonical and extension columns among `names`, in canonical order."""
    present = set(names)
    return tuple(name for name in (*CANONICAL, *EXTENSIONS) if name in present)


def frame_schema(columns: tuple[str, ...]) -> pa.DataFrameSchema:
    """Return the pandera schema of a canonical frame with these columns.

    Parameters
    ----------
    columns
        The canonical and extension columns the frame has.

    Returns
    -------
    pandera.pandas.DataFrameSchema
        Dates without a gap and within 1900 to 2199, text that is present where required, numbers that
        are finite, at most `LARGEST` and, all but profit and its margin, not negative; flags that are 1 or 0.
    """
    return pa.DataFrameSchema({name: _column(name) for name in columns})


def _column(name: str) -> pa.Column:
    nullable = name not in REQUIRED
    if name == "sale_date":
        return pa.Column(checks=pa.Check(_within_years, error=OUTSIDE), nullable=False)
    if name in DIMENSIONS:
        return pa.Column(nullable=nullable)
    if name in FLAGS:
        return pa.Column(float, checks=pa.Check(_yes_or_no, error=NO_FLAG), nullable=nullable)
    checks = [pa.Check(_finite, error=INFINITE), pa.Check(_not_too_large, error=TOO_LARGE)]
    if name not in SIGNED:
        checks.append(pa.Check(_not_below_zero, error=NEGATIVE))
    return pa.Column(float, checks=checks, nullable=nullable)


def _within_years(dates: "pd.Series[pd.Timestamp]") -> "pd.Series[bool]":
    return (dates >= EARLIEST) & (dates <= LATEST)


def _yes_or_no(values: "pd.Series[float]") -> "pd.Series[bool]":
    return (values == 0) | (values == 1)


def _finite(values: "pd.Series[float]") -> "pd.Series[bool]":
    return values.abs() != np.inf


def _not_too_large(values: "pd.Series[float]") -> "pd.Series[bool]":
    # Infinity is reported once, as infinite.
    size = values.abs()
    return (size <= LARGEST) | (size == np.inf)


def _not_below_zero(values: "pd.Series[float]") -> "pd.Series[bool]":
    # Minus infinity is reported once, as infinite.
    return (values >= 0) | (values == -np.inf)
