"""Beverage sales: a seeded generator of the full canonical frame, of any size.

Made-up brands, each in one category, over eight regions of three countries. Sales rise in summer (each
category by its own amplitude), every brand has its own yearly trend, the first and the last month are
partial, rows are unsorted, and one row in eight books a store outside its home region, as real files do.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from swarmlab.data.cache import Built, DataCache

REVISION: Final = 1
"""Raised when the generator changes, so that an older file in the cache is not used."""

FIRST_DAY, LAST_DAY = np.datetime64("2022-01-12"), np.datetime64("2024-12-17")
STORES: Final = 120

# brand: (category, weight, price, cost share of price, trend a year)
BRANDS: Final = {
    "Alder Cola": ("Cola", 15.0, 1.45, 0.58, 0.02),
    "Boreal Cola": ("Cola", 11.0, 1.35, 0.61, -0.08),
    "Cedar Spring": ("Water", 12.0, 0.95, 0.52, 0.10),
    "Dewdrop": ("Water", 8.0, 0.85, 0.55, 0.04),
    "Ember Energy": ("Energy", 7.0, 2.60, 0.42, 0.22),
    "Flint Energy": ("Energy", 5.0, 2.35, 0.45, 0.12),
    "Grove Orange": ("Juice", 9.0, 2.10, 0.66, -0.05),
    "Harvest Apple": ("Juice", 7.0, 1.95, 0.68, -0.02),
    "Indigo Iced Tea": ("Tea", 6.0, 1.70, 0.50, 0.08),
    "Jasmine Leaf": ("Tea", 5.0, 1.85, 0.53, 0.15),
    "Kestrel Coffee": ("Coffee", 5.0, 2.95, 0.57, 0.18),
    "Lumen Lemonade": ("Lemonade", 6.0, 1.55, 0.54, 0.00),
}
SUMMER: Final = {
    "Cola": 0.25,
    "Water": 0.40,
    "Energy": 0.10,
    "Juice": 0.12,
    "Tea": 0.45,
    "Coffee": -0.15,
    "Lemonade": 0.55,
}
"""How far sales in mid-July lie above the year's mean."""
# region: (country, weight, price level)
REGIONS: Final = {
    "Northeast": ("United States", 18.0, 1.08),
    "Midwest": ("United States", 14.0, 0.97),
    "South": ("United States", 20.0, 0.94),
    "West": ("United States", 17.0, 1.06),
    "Ontario": ("Canada", 10.0, 1.04),
    "Quebec": ("Canada", 7.0, 1.02),
    "Central Mexico": ("Mexico", 9.0, 0.82),
    "Northern Mexico": ("Mexico", 5.0, 0.86),
}

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Draws:
    """Which brand, day, region and store each row is of, as indices."""

    brand: Codes
    day: Codes
    region: Codes
    store: Codes


def beverage_file(cache: DataCache, rows: int, seed: int) -> Built:
    """Return `rows` generated sales as a canonical CSV in the cache; the same seed gives the same bytes."""
    name = f"beverage-{rows}-s{seed}-r{REVISION}"

    def write(target: Path) -> tuple[str, ...]:
        options = pyarrow.csv.WriteOptions(quoting_style="needed", quoting_header="needed")
        pyarrow.csv.write_csv(generate(rows, seed), target, options)
        return (
            f"generated, not real: {rows:,} rows, seed {seed}, generator revision {REVISION}",
            "each brand is in one category; stores span regions; the first and the last month are partial",
        )

    return cache.build(name, write)


def generate(rows: int, seed: int) -> pa.Table:
    """Return the generated frame.

    Parameters
    ----------
    rows
        How many sales; one or more.
    seed
        Of numpy's PCG64; only uniform draws are used, whose stream numpy keeps between versions.

    Returns
    -------
    pyarrow.Table
        The 13 canonical columns. On each row total_revenue = round(units_sold * price_per_unit, 2), likewise
        total_cost; profit is their difference and profit_margin its percentage of revenue, to 2 decimals.
    """
    rng = np.random.default_rng(seed)
    draws = _draw(rng, rows)
    price, cost, units = _prices(rng, draws)
    revenue, total_cost = np.round(units * price, 2), np.round(units * cost, 2)
    profit = np.round(revenue - total_cost, 2)
    regions, brands = list(REGIONS), list(BRANDS)
    countries = sorted({country for country, _, _ in REGIONS.values()})
    categories = sorted(SUMMER)
    country = np.array([countries.index(REGIONS[name][0]) for name in regions])
    category = np.array([categories.index(BRANDS[name][0]) for name in brands])
    return pa.table(
        {
            "sale_date": pa.array(FIRST_DAY + draws.day),
            "region": _named(regions, draws.region),
            "country": _named(countries, country[draws.region]),
            "store_id": _named([f"S{number:03d}" for number in range(1, STORES + 1)], draws.store),
            "brand": _named(brands, draws.brand),
            "category": _named(categories, category[draws.brand]),
            "units_sold": units.astype(np.int64),
            "price_per_unit": price,
            "total_revenue": revenue,
            "cost_per_unit": cost,
            "total_cost": total_cost,
            "profit": profit,
            "profit_margin": np.round(100 * profit / revenue, 2),
        }
    )


def _draw(rng: np.random.Generator, rows: int) -> _Draws:
    brand = _pick(rng, np.array([weight for _, weight, *_ in BRANDS.values()]), rows)
    days = int((LAST_DAY - FIRST_DAY).astype(int)) + 1
    cumulative = np.cumsum(_day_weights(days), axis=1)
    cumulative /= cumulative[:, -1:]
    # One sorted table for all brands: brand b's curve lies between b and b + 1.
    curves = (cumulative + np.arange(len(BRANDS))[:, None]).ravel()
    day = np.searchsorted(curves, brand + rng.random(rows), side="right") - brand * days
    region = _pick(rng, np.array([weight for _, weight, _ in REGIONS.values()]), rows)
    near_home = rng.random(rows) >= 1 / 8
    anywhere = (rng.random(rows) * STORES).astype(np.intp)
    homed = anywhere - anywhere % len(REGIONS) + region
    return _Draws(brand, np.minimum(day, days - 1), region, np.where(near_home, homed, anywhere))


def _day_weights(days: int) -> Numbers:
    """Return how likely each day is for each brand, shape (brands, days)."""
    day = np.arange(days)
    year_day = (FIRST_DAY + day - (FIRST_DAY + day).astype("datetime64[Y]")).astype(float)
    summer = np.cos(2 * np.pi * (year_day - 196) / 365.25)  # 196: mid-July
    # 1970-01-01 was a Thursday: remainders 1 to 3 are Friday to Sunday.
    weekend = 1 + 0.15 * np.isin((FIRST_DAY + day).astype("datetime64[D]").astype(int) % 7, (1, 2, 3))
    amplitude = np.array([SUMMER[category] for category, *_ in BRANDS.values()])
    trend = np.array([trend for *_, trend in BRANDS.values()])
    growth: Numbers = (1 + trend[:, None]) ** (day / 365.25)
    weights: Numbers = growth * (1 + amplitude[:, None] * summer) * weekend
    return weights


def _prices(rng: np.random.Generator, draws: _Draws) -> tuple[Numbers, Numbers, Numbers]:
    """Return price and cost of a unit and the units sold; a promotion cuts the price and lifts the units."""
    rows = len(draws.brand)
    listed = np.array([price for _, _, price, _, _ in BRANDS.values()])[draws.brand]
    share = np.array([share for _, _, _, share, _ in BRANDS.values()])[draws.brand]
    level = np.array([level for _, _, level in REGIONS.values()])[draws.region]
    cut = np.where(rng.random(rows) < 0.12, 0.10 + 0.20 * rng.random(rows), 0.0)
    inflation = 1 + 0.03 * draws.day / 365.25
    price = np.round(listed * level * inflation * (1 - cut) * (1 + 0.05 * _noise(rng, rows)), 2)
    cost = np.round(listed * share * inflation * (1 + 0.06 * _noise(rng, rows)), 2)
    # A geometric tail: most sales are some dozen units, a few are pallets.
    size = -np.log1p(-rng.random(rows)) * 24 * (1 + 2.5 * cut)
    return price, cost, np.floor(size) + 1


def _noise(rng: np.random.Generator, rows: int) -> Numbers:
    """Return bell-shaped noise of mean 0 and standard deviation 1 from uniform draws (Irwin-Hall of 3)."""
    noise: Numbers = 2 * (rng.random(rows) + rng.random(rows) + rng.random(rows) - 1.5)
    return noise


def _pick(rng: np.random.Generator, weights: Numbers, rows: int) -> Codes:
    cumulative = np.cumsum(weights / weights.sum())
    return np.minimum(np.searchsorted(cumulative, rng.random(rows), side="right"), len(weights) - 1)


def _named(names: list[str], codes: Codes) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names)).cast(pa.string())
