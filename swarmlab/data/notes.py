"""What there is to know about a user's file that is not an error."""

import pandas as pd

from swarmlab.data.schema import DIMENSIONS
from swarmlab.data.tables import NATIVE_DATES, WITH_TIME


def file_notes(
    frame: pd.DataFrame, names: tuple[str, ...], empty: tuple[str, ...], date_form: str
) -> tuple[str, ...]:
    """Return the notes on a checked frame.

    Parameters
    ----------
    frame
        The canonical frame.
    names
        All column names of the file.
    empty
        Optional columns that were left out because no row has a value.
    date_form
        How the file writes dates.
    """
    notes: list[str] = []
    ignored = [name for name in names if name not in frame.columns and name not in empty]
    if ignored:
        notes.append(f"columns not used: {', '.join(ignored)}")
    if empty:
        notes.append(f"columns without any value, treated as absent: {', '.join(empty)}")
    notes.append(
        f"{len(frame):,} rows, {frame['sale_date'].min():%Y-%m-%d} to {frame['sale_date'].max():%Y-%m-%d}"
    )
    if date_form.endswith(WITH_TIME):
        notes.append("times of day and offsets from UTC are cut off: a sale is on the day written in its row")
    elif date_form == NATIVE_DATES:
        notes.append("timestamps count as the day they fall on in the column's own time zone")
    notes.extend(_gaps(frame))
    notes.extend(_spans(frame))
    notes.extend(_totals(frame))
    return tuple(notes)


def _gaps(frame: pd.DataFrame) -> list[str]:
    gaps = frame.isna().sum()
    return [f"{name} is empty in {count:,} rows" for name, count in gaps.items() if count]


def _spans(frame: pd.DataFrame) -> list[str]:
    """Say which names are not nested in others, as a reader would expect them to be."""
    notes = []
    for inner, outer in (("store_id", "region"), ("store_id", "country"), ("region", "country")):
        if inner in frame and outer in frame:
            pairs = frame[[inner, outer]].drop_duplicates().dropna()
            per_name = pairs.groupby(inner)[outer].size()
            spanning = int((per_name > 1).sum())
            if spanning:
                notes.append(
                    f"{spanning:,} of {len(per_name):,} {inner} values occur in more than one {outer}"
                )
    for name in DIMENSIONS:
        if name in frame:
            distinct = pd.Series(frame[name].dropna().unique())
            merged = distinct.str.strip().str.casefold().nunique()
            if merged < len(distinct):
                notes.append(
                    f"{name} has values that differ only in case or outer spaces; they count as different"
                )
    return notes


def _totals(frame: pd.DataFrame) -> list[str]:
    """Count rows whose totals are far from their parts: over 1 % and over 5 cents."""
    notes = []
    for total, unit in (("total_revenue", "price_per_unit"), ("total_cost", "cost_per_unit")):
        if total in frame and unit in frame:
            notes.extend(_far(frame, total, frame["units_sold"] * frame[unit], f"units_sold x {unit}"))
    if "profit" in frame and "total_cost" in frame:
        parts = frame["total_revenue"] - frame["total_cost"]
        notes.extend(_far(frame, "profit", parts, "total_revenue - total_cost"))
    return notes


def _far(frame: pd.DataFrame, total: str, expected: "pd.Series[float]", formula: str) -> list[str]:
    gap = (frame[total] - expected).abs()
    far = int(((gap > 0.05) & (gap > 0.01 * frame[total].abs())).sum())
    return [f"{total} is far from {formula} in {far:,} rows; {total} is used as it stands"] if far else []
