"""Small sales frames and datasets for the tests of the tools."""

from pathlib import Path

import numpy as np
import pandas as pd

from swarmlab.data import DIMENSIONS, Dataset
from swarmlab.tools import Fact

OPTIONAL = ("region", "country", "store_id", "total_cost", "discount_value")


def tiny_frame(rows: list[tuple[str, str, str, float, float]]) -> pd.DataFrame:
    """Make the five required columns from (date, brand, category, units, revenue)."""
    frame = pd.DataFrame(rows, columns=["sale_date", "brand", "category", "units_sold", "total_revenue"])
    frame["sale_date"] = pd.to_datetime(frame["sale_date"])
    return frame


def random_frame(
    seed: int,
    n: int = 400,
    *,
    days: int = 200,
    first: str = "2023-01-10",
    columns: tuple[str, ...] = OPTIONAL,
) -> pd.DataFrame:
    """Make unsorted rows with amounts in cents, and those of the optional columns that are asked for."""
    rng = np.random.default_rng(seed)
    units = rng.integers(0, 6, n)
    price = rng.integers(50, 900, n) / 100
    revenue = np.round(units * price, 2)
    frame = pd.DataFrame(
        {
            "sale_date": pd.Timestamp(first) + pd.to_timedelta(rng.integers(0, days, n), unit="D"),
            "brand": rng.choice([f"Brand {i:02d}" for i in range(14)], n, p=_falling(14)),
            "category": rng.choice(["Tea", "coffee", "Água", "Cola"], n, p=_falling(4)),
            "units_sold": units.astype(float),
            "total_revenue": revenue,
        }
    )
    made = {
        "region": rng.choice(["North", "South", "East"], n),
        "country": rng.choice(["Aland", "Borduria"], n),
        "store_id": rng.choice([f"S{i}" for i in range(12)], n),
        "total_cost": np.round(revenue * rng.uniform(0.3, 1.1, n), 2),
        "discount_value": np.round(revenue * rng.uniform(0, 0.4, n), 2),
    }
    for name in columns:
        frame[name] = made[name]
    return frame


def dataset_of(frame: pd.DataFrame, folder: Path, name: str = "made") -> Dataset:
    """Write a frame as the data room does, and describe it."""
    folder.mkdir(parents=True, exist_ok=True)
    path, columnar = folder / f"{name}.csv", folder / f"{name}.parquet"
    plain = frame.assign(sale_date=frame["sale_date"].dt.strftime("%Y-%m-%d"))
    plain.to_csv(path, index=False)
    typed = as_categorical(frame)
    typed["sale_date"] = typed["sale_date"].dt.date
    typed.to_parquet(columnar, index=False)
    return Dataset(
        name=name,
        source="file",
        path=path,
        columnar=columnar,
        fingerprint="0" * 64,
        rows=len(frame),
        columns=tuple(map(str, frame.columns)),
        notes=(),
    )


def as_categorical(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn the dimensions into categoricals."""
    typed = frame.copy()
    for name in DIMENSIONS:
        if name in typed:
            typed[name] = typed[name].astype("category")
    return typed


def values(facts: tuple[Fact, ...]) -> dict[str, float | int | str]:
    """Values by id, without the tool's name."""
    return {fact.id.split(".", 1)[1]: fact.value for fact in facts}


def _falling(n: int) -> np.ndarray:
    weights = np.arange(n, 0, -1) + 0.0
    return weights / weights.sum()
