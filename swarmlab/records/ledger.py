"""The ledger of an ablation: what each factor contributed on the way from base to target.

Credits are changes, target minus base: negative seconds and tokens are saved. Base plus credits is target.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from swarmlab.records.comparison import EXPLORATORY_BELOW
from swarmlab.records.credit import Credits, factorial_credits, path_credits
from swarmlab.records.design import factors_of
from swarmlab.records.estimate import Estimate, Units

__all__ = ["METRICS", "ledger_frame"]

METRICS = {
    "duration_s": "s",
    "total_tokens": "tokens",
    "fact_coverage": "share",
    "groundedness": "share",
    "decision_accuracy": "share",
}
"""What is credited, with its unit."""

_GROUP = ["clock", "model", "profile", "_start"]
_DTYPES = {
    **dict.fromkeys(("clock", "model", "profile", "cache_state", "metric", "unit", "kind", "term"), "str"),
    **dict.fromkeys(("estimate", "low", "high"), "float64"),
    **dict.fromkeys(("n_runs", "n_blocks", "n_units", "attempted", "succeeded"), "Int64"),
    **dict.fromkeys(("method", "note"), "str"),
}
_AT_MOST = 6


def ledger_frame(runs: pd.DataFrame, design: pd.DataFrame) -> pd.DataFrame:
    """Credit each factor of an ablation with its part of the change from base to target.

    Parameters
    ----------
    runs
        The `runs` table.
    design
        The `design` table; empty gives an empty ledger.

    Returns
    -------
    DataFrame
        For each clock, model, profile and cache state, and each metric, a row a term. `kind`: `base` and
        `target` (means of those levels), `factor` (its credit, a Shapley value), `total` (target minus base,
        the sum of the credits), `interaction` (of two factors; in no sum). `estimate`, `low` and `high` (a
        95 % interval) are in `unit`; they rest on n_runs, n_blocks and n_units (independent ones: blocks,
        pairs of orders, or briefs with exams). Where a level has no successful run there is no estimate, and
        `note` names the level. A cold run with cache hits makes its group mixed.
    """
    columns = list(_DTYPES)
    if design.empty:
        return pd.DataFrame(columns=columns).astype(_DTYPES)
    keyed = runs.assign(
        _block=runs["pair"].fillna(runs["repeat"]), _start=runs["cache_state"].replace("mixed", "cold")
    )
    planned = keyed[keyed["level"].isin(design["level"]) & keyed["_start"].notna() & keyed["_block"].notna()]
    rows: list[dict[str, Any]] = []
    for _, group in planned.groupby(_GROUP, dropna=False, sort=True):
        for metric in METRICS:
            rows.extend(_rows(group, design, metric))
    return pd.DataFrame(rows, columns=columns).astype(_DTYPES)


def _rows(group: pd.DataFrame, design: pd.DataFrame, metric: str) -> Iterator[dict[str, Any]]:
    factors = factors_of(design)
    values, credits = _credits(group, design, metric)
    states = group["cache_state"].unique()
    shared = {
        **{name: group[name].iloc[0] for name in ("clock", "model", "profile")},
        "cache_state": "mixed" if "mixed" in states else states[0],
        "metric": metric,
        "unit": METRICS[metric],
        "attempted": len(group),
        "succeeded": int((group["status"] == "ok").sum()),
        "n_runs": 0 if credits is None else int(values[credits.block_used].notna().to_numpy().sum()),
        "n_blocks": 0 if credits is None else int(credits.block_used.sum()),
        "n_units": 0 if credits is None else credits.n_units,
        "method": None if credits is None else credits.method,
    }
    reason = _why_none(group, design, metric) if credits is None else None
    for kind, term, estimate in _terms(factors, design, credits):
        note = reason or _note(estimate, shared["n_units"])
        figures = {"estimate": estimate.value, "low": estimate.low, "high": estimate.high}
        yield {**shared, "kind": kind, "term": term, **figures, "note": note}


def _credits(group: pd.DataFrame, design: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, Credits | None]:
    """Return the values, blocks by cells, and the credits that they give."""
    succeeded = group[group["status"] == "ok"]
    means = succeeded.groupby(["_block", "level"])[metric].mean().astype("float64")
    on = design[factors_of(design)].to_numpy()
    works = group.groupby("_block")["work_id"].first()
    pooled = metric == "duration_s" and works.nunique(dropna=False) == 1
    if design["block"].isna().all():
        values = means.unstack().reindex(columns=list(design["level"]))
        units = Units([*values.index], "blocks") if metric == "duration_s" else _works(values, works)
        return values, factorial_credits(values.to_numpy(), on, units, pooled=pooled)
    placed = design.assign(place=design.groupby("block").cumcount())
    placed["value"] = means.reindex(pd.MultiIndex.from_frame(placed[["block", "level"]])).to_numpy()
    values = placed.pivot(index="block", columns="place", values="value")
    steps = np.diff(on.reshape(*values.shape, -1).astype(int), axis=1).argmax(axis=2)
    pairs = Units([block // 2 for block in values.index], "pairs of orders")
    units = pairs if metric == "duration_s" else _works(values, works)
    return values, path_credits(values.to_numpy(), steps, units, pooled=pooled)


def _works(values: pd.DataFrame, works: "pd.Series[str]") -> Units:
    """Return the work of each block, which is what tokens and quality vary with.

    At temperature 0 the same brief and exam get much the same answer every time: repeats show no new ones.
    """
    return Units([works.get(block) for block in values.index], "briefs and exams")


def _terms(
    factors: list[str], design: pd.DataFrame, credits: Credits | None
) -> Iterator[tuple[str, str, Estimate]]:
    pairs = [f"{first} x {second}" for first, second in itertools.combinations(factors, 2)]
    n_on = design[factors].sum(axis=1)
    base, target = (design.loc[n_on == n, "level"].iloc[0] for n in (0, len(factors)))
    nothing = Estimate(float("nan"))
    if credits is None:
        credits_, interactions = (nothing,) * len(factors), (nothing,) * len(pairs)
        ends = (nothing,) * 3
    else:
        credits_, interactions = credits.credits, credits.interactions
        ends = (credits.base, credits.total, credits.target)
    yield "base", base, ends[0]
    yield from (("factor", name, credit) for name, credit in zip(factors, credits_, strict=True))
    yield "total", f"{target} - {base}", ends[1]
    yield "target", target, ends[2]
    yield from (("interaction", name, found) for name, found in zip(pairs, interactions, strict=True))


def _note(estimate: Estimate, n_units: int) -> str:
    parts = (
        f"exploratory: {n_units} independent {'unit' if n_units == 1 else 'units'}"
        if n_units < EXPLORATORY_BELOW
        else None,
        None if estimate.why is None else f"no interval: {estimate.why}",
    )
    return "; ".join(part for part in parts if part)


def _why_none(group: pd.DataFrame, design: pd.DataFrame, metric: str) -> str:
    """Name the levels for want of which there is no ledger."""
    has_value = (group["status"] == "ok") & group[metric].notna()
    if design["block"].notna().any():
        return _no_whole_block(group[has_value], design)
    lacking = []
    for level in design["level"]:
        own = group["level"] == level
        if not (own & has_value).any():
            lacking.append(f"{level} ({_how(group.loc[own, 'status'], metric)})")
    if not lacking:
        return "no ledger: blocks that lack runs have no level in common"
    return f"no ledger without {_listed(lacking)}"


def _how(statuses: "pd.Series[str]", metric: str) -> str:
    if statuses.empty:
        return "not run"
    failed = int((statuses != "ok").sum())
    return f"{failed} of {len(statuses)} runs failed" if failed else f"no {metric}"


def _no_whole_block(having: pd.DataFrame, design: pd.DataFrame) -> str:
    found = set(zip(having["_block"], having["level"], strict=True))
    lacking = [
        f"{level} in block {block}"
        for block, level in zip(design["block"], design["level"], strict=True)
        if (block, level) not in found
    ]
    return f"no ledger without a complete block; without a value: {_listed(lacking)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _AT_MOST} more" if len(names) > _AT_MOST else ""
    return ", ".join(names[:_AT_MOST]) + more
