"""Frames given by hand: what is no date or number is named, and what is written otherwise counts the same."""

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sales_frames import random_frame
from shopper_frames import shopper_frame

from swarmlab.errors import ToolError
from swarmlab.tools import TOOLS, Scope, data_profile, kpis, market_overview

FRAME = shopper_frame(1, 300)

Change = Callable[[pd.DataFrame], pd.DataFrame]


def _at_row_4(column: str, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        values = frame[column].astype(object)
        values.iloc[3] = value
        return frame.assign(**{column: values})

    return change


BAD: dict[str, tuple[Change, str]] = {
    "no date": (_at_row_4("sale_date", pd.NaT), "row 4, column sale_date: is not a date; give dates"),
    "a date in words": (
        _at_row_4("sale_date", "May 4th"),
        "row 4, column sale_date: 'May 4th' is not a date",
    ),
    "another era": (
        _at_row_4("sale_date", pd.Timestamp("1678-01-01")),
        "row 4, column sale_date: 1678-01-01 00:00:00 is outside the years 1900 to 2199",
    ),
    "no revenue": (_at_row_4("total_revenue", np.nan), "row 4, column total_revenue: is empty; fill it in"),
    "a thousands sign": (
        _at_row_4("total_revenue", "1,234.5"),
        "row 4, column total_revenue: '1,234.5' is not a number",
    ),
    "infinity": (_at_row_4("total_revenue", np.inf), "row 4, column total_revenue: inf is infinite"),
    "too much": (_at_row_4("total_revenue", 1e300), "row 4, column total_revenue: 1e[+]300 is larger"),
    "a column twice": (
        lambda frame: pd.concat([frame, frame[["total_revenue"]]], axis=1),
        "column total_revenue occurs 2 times",
    ),
}


@pytest.mark.parametrize("name", list(TOOLS))
@pytest.mark.parametrize("bad", list(BAD))
def test_a_bad_value_is_named_with_its_row_and_column(name: str, bad: str) -> None:
    """Every tool that needs the column refuses the frame in one sentence, and no tool breaks on it."""
    change, message = BAD[bad]
    frame = change(FRAME)
    if bad == "no revenue" and "total_revenue" not in TOOLS[name].needs:
        TOOLS[name].fn(frame, Scope())
        return
    with pytest.raises(ToolError, match=f"tool {name} failed: {message}"):
        TOOLS[name].fn(frame, Scope())


@pytest.mark.parametrize("thing", [None, [1, 2], {"brand": ["A"]}])
def test_what_is_no_frame_is_refused(thing: object) -> None:
    """The message says what a tool takes, and what it was given."""
    with pytest.raises(ToolError, match=f"takes a pandas DataFrame of sales, not {type(thing).__name__}"):
        kpis(thing)  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Tokyo", "America/Los_Angeles", "UTC"])
@pytest.mark.parametrize("hour", [0, 1, 23])
def test_a_date_with_a_time_zone_is_the_day_written_in_the_row(zone: str, hour: int) -> None:
    """One o'clock in Tokyo is that day and not the one before, as it is in a file."""
    moments = FRAME["sale_date"] + pd.Timedelta(hours=hour)
    # Two in the morning is skipped on one night; no hour here is.
    frame = FRAME.assign(sale_date=moments.dt.tz_localize(zone))
    for tool in TOOLS.values():
        assert tool.fn(frame) == tool.fn(FRAME, Scope())


@given(st.integers(0, 1000), st.sampled_from(["text", "decimal", "object", "arrow", "nullable"]))
@settings(max_examples=20, deadline=None)
def test_how_amounts_and_dates_are_stored_does_not_matter(seed: int, kind: str) -> None:
    """Text, decimals and pandas' other kinds of number give the same facts, extremes among them."""
    frame = random_frame(seed, 80)
    amounts = frame["total_revenue"]
    other = {
        "text": lambda: frame.assign(
            total_revenue=amounts.astype(str), sale_date=frame["sale_date"].dt.strftime("%Y-%m-%d")
        ),
        "decimal": lambda: frame.assign(total_revenue=amounts.map(lambda value: Decimal(str(value)))),
        "object": lambda: frame.assign(
            sale_date=frame["sale_date"].dt.date, units_sold=amounts.astype(object)
        ),
        "arrow": lambda: frame.convert_dtypes(dtype_backend="pyarrow"),
        "nullable": lambda: frame.convert_dtypes(),
    }[kind]()
    plain = frame.assign(units_sold=amounts) if kind == "object" else frame
    for tool in (kpis, market_overview, data_profile):
        assert tool(other) == tool(plain)


def test_the_frame_given_is_not_written_to() -> None:
    """A frame that had to be read otherwise is the caller's own, as it was."""
    frame = FRAME.assign(total_revenue=FRAME["total_revenue"].astype(str))
    before = frame.copy(deep=True)
    kpis(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_the_package_alone_gives_the_tools() -> None:
    """`import swarmlab` is enough for `swarmlab.tools.market_share`, in a fresh interpreter."""
    code = "import swarmlab; print(swarmlab.tools.market_share.__name__, hasattr(swarmlab, 'nothing'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["market_share", "False"], "")
