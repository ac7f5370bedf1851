"""Frames of purchases with households, promotions, coupons and campaigns, some with a planted effect."""

import numpy as np
import pandas as pd

SHOPPER = (
    *("household_id", "basket_id", "product", "discount_value"),
    *("on_promotion", "coupon_value", "campaign_target", "campaign_active"),
)


def shopper_frame(
    seed: int, n: int = 400, *, days: int = 200, households: int = 25, columns: tuple[str, ...] = SHOPPER
) -> pd.DataFrame:
    """Make unsorted rows of sales without any planted effect; some have no household, some sold nothing."""
    rng = np.random.default_rng(seed)
    units = rng.integers(0, 5, n)
    day = rng.integers(0, days, n)
    shopper = rng.integers(0, households, n)
    product = rng.integers(0, 9, n)
    frame = pd.DataFrame(
        {
            "sale_date": pd.Timestamp("2023-01-10") + pd.to_timedelta(day, unit="D"),
            "brand": np.array([f"Brand {i}" for i in range(3)])[product % 3],
            "category": np.array(["Tea", "Cola", "Água"])[product // 3],
            "units_sold": units.astype(float),
            "total_revenue": np.round(units * rng.integers(50, 900, n) / 100, 2),
        }
    )
    is_known = rng.random(n) > 0.1
    made = {
        "household_id": np.where(is_known, np.char.add("H", shopper.astype(str)), None),
        "basket_id": np.char.add(np.char.add(shopper.astype(str), "-"), (day // 3).astype(str)),
        "product": np.char.add("P", product.astype(str)),
        "discount_value": np.round(rng.random(n), 2),
        "on_promotion": (rng.random(n) < 0.3) * 1.0,
        "coupon_value": np.where(rng.random(n) < 0.1, 0.5, 0.0),
        "campaign_target": (shopper % 2 == 0) * 1.0,
        "campaign_active": ((day >= days // 2) & (day < days * 3 // 4)) * 1.0,
    }
    for name in columns:
        frame[name] = made[name]
    return frame


def grid(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of each cell of a table, as two flat arrays."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    return row, column


def weekly_frame(
    seed: int,
    *,
    articles: int = 30,
    weeks: int = 52,
    base: float = 60.0,
    elasticity: float = -2.0,
    lift: float = 0.0,
    depth_slope: float = 0.0,
    categories: tuple[str, ...] = ("Tea",),
) -> pd.DataFrame:
    """Make a row an article and week whose units answer to price, promotion and discount as planted.

    Units are Poisson with mean base x season x price^elasticity x (1 + lift)^on_promotion x
    exp(depth_slope x depth); promotions come more often in high season, and dear articles sell less.
    """
    rng = np.random.default_rng(seed)
    article, week = grid(articles, weeks)
    season = 1 + 0.5 * np.sin(2 * np.pi * week / 52)
    listed = rng.uniform(1, 6, articles)[article] * np.exp(0.15 * rng.standard_normal(len(week)))
    on = rng.random(len(week)) < 0.15 * season
    depth = np.where(on & (depth_slope > 0), rng.uniform(0.05, 0.4, len(week)), 0.0)
    level = rng.uniform(base, 5 * base, articles)[article]
    mean = level * season * listed**elasticity * (1 + lift) ** on * np.exp(depth_slope * depth)
    units = rng.poisson(mean)
    gross = np.round(units * listed, 4)
    given = np.round(gross * depth, 4)
    return pd.DataFrame(
        {
            "sale_date": pd.Timestamp("2023-01-02") + pd.to_timedelta(7 * week, unit="D"),
            "brand": np.char.add("B", article.astype(str)),
            "category": np.array(categories)[article % len(categories)],
            "units_sold": units.astype(float),
            "total_revenue": gross - given,
            "discount_value": given,
            "on_promotion": on * 1.0,
        }
    )


def campaign_frame(seed: int, *, households: int = 200, effect: float = 3.0) -> pd.DataFrame:
    """Make purchases on forty days; the targeted half buys more before, and `effect` more a day during."""
    rng = np.random.default_rng(seed)
    shopper, day = grid(households, 40)
    target, active = shopper % 2 == 0, day >= 20
    mean = 20 + 10 * target + 2 * active + effect * (target & active) + rng.normal(0, 3, households)[shopper]
    return pd.DataFrame(
        {
            "sale_date": pd.Timestamp("2023-03-01") + pd.to_timedelta(day, unit="D"),
            "total_revenue": np.round(np.maximum(mean + rng.normal(0, 4, len(day)), 0), 2),
            "household_id": np.char.add("H", shopper.astype(str)),
            "campaign_target": target * 1.0,
            "campaign_active": active * 1.0,
        }
    )
