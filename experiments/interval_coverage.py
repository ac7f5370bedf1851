"""Simulates how often 95 % intervals hold the truth; writes `results/reference/interval_coverage.*`.

Nothing here was measured: times are drawn, the intervals are the product's own and those it was chosen over.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from swarmlab.records.atomic import write_text
from swarmlab.records.interval import FEWEST_UNPAIRED, t_interval, unpaired_interval, welch_interval
from swarmlab.records.scores import ENOUGH_DIFFERING, score_difference

OUT = Path(__file__).resolve().parent.parent / "results" / "reference"
SEED = 143
EXPERIMENTS, RESAMPLED = 20_000, 4_000
"""Simulated experiments a condition; the second for methods that resample or cannot take all at once."""
RESAMPLES = 999
RUNS = (2, 3, 5, 10, 20)
WORKS = (5, 10, 20, 50, 100)
QUESTIONS = 21
PRODUCT = {
    "paired ratio": "t on log ratios",
    "median duration": "t on log durations",
    "unpaired ratio": "Welch's t on log durations",
    "unpaired ratio, n runs against ten": "Welch's t on log durations",
    "unpaired ratio, five works": "t on log durations within works",
    "score difference": f"t over works, exact bound under {ENOUGH_DIFFERING} that differ",
}
INTRODUCTION = f"""# How often the 95 % intervals hold the truth

Simulated by `experiments/interval_coverage.py` (seed {SEED}; nothing here was measured): {EXPERIMENTS:,}
experiments a condition, {RESAMPLED:,} for the bootstraps ({RESAMPLES} resamples) and what is simulated one at
a time. Every condition is a row of `interval_coverage.csv`; bold methods are the product's.

The truth is the median: of the ratio of a pair's durations, or of a level's duration. Times are normal (CV 5,
10, 30 %) and lognormal (sigma 0.1, 0.5, 1), with equal and unequal spreads on the two sides; in pairs half of
the variance is the block's, shared by both. The t interval of the mean logarithm holds the median, for the
median ratio of normal or lognormal times is the ratio of their medians, and the geometric mean is equal or
close to it. Widths are of logarithms. Under {FEWEST_UNPAIRED} unpaired runs a side the product gives no
interval.
"""
SCORES = f"""Scores: the difference of two levels' exam scores ({QUESTIONS} questions) over works. Student's t
alone claims certainty where no exam differs; the product's rule takes an exact bound until {ENOUGH_DIFFERING}
works differ. Coverage above 97 % is that bound's price. The last condition is the rule's limit: one exam in
twenty half fails.
"""
Floats = NDArray[np.float64]
Ends = tuple[Any, Any]


@dataclass(frozen=True)
class Times:
    """How two sides' durations are drawn: median 1, a spread each, and a shared block effect."""

    shape: str
    a: float
    b: float
    is_required: bool = True
    """One of the conditions that the product's methods were to cover; others are published beside them."""

    def draw(
        self, random: np.random.Generator, size: tuple[int, ...], correlation: float
    ) -> tuple[Floats, Floats]:
        """Durations of both sides; `correlation` is the share of the variance that the block gives."""
        block, *own = (self._noise(random, size) for _ in range(3))
        mixed = [np.sqrt(correlation) * block + np.sqrt(1 - correlation) * noise for noise in own]
        return self._times(random, mixed[0], self.a), self._times(random, mixed[1], self.b)

    def median(self) -> float:
        """The median duration of a side."""
        if self.shape != "one in ten 1.5 times slower":
            return 1.0
        # Root of the mixture's distribution function, by bisection.
        low, high = 1.0, 1.5
        for _ in range(60):
            middle = (low + high) / 2
            below = 0.9 * stats.norm.cdf(np.log(middle) / self.a) + 0.1 * stats.norm.cdf(
                np.log(middle / 1.5) / self.a
            )
            low, high = (middle, high) if below < 0.5 else (low, middle)
        return low

    def _noise(self, random: np.random.Generator, size: tuple[int, ...]) -> Floats:
        if self.shape == "log t with 3 degrees":
            return random.standard_t(3, size) / np.sqrt(3)
        return random.standard_normal(size)

    def _times(self, random: np.random.Generator, noise: Floats, spread: float) -> Floats:
        if self.shape == "normal":
            # A duration is positive: at a CV of 30 % one draw in two thousand is raised to 2 % of the median.
            return np.maximum(1 + spread * noise, 0.02)
        if self.shape == "one in ten 1.5 times slower":
            return np.exp(spread * noise) * np.where(random.random(noise.shape) < 0.1, 1.5, 1.0)
        return np.exp(spread * noise)


TIMES = (
    *(Times("normal", cv, cv) for cv in (0.05, 0.1, 0.3)),
    *(Times("normal", a, b) for a, b in ((0.05, 0.1), (0.1, 0.3), (0.3, 0.1), (0.05, 0.3))),
    *(Times("lognormal", sigma, sigma) for sigma in (0.1, 0.5, 1.0)),
    *(Times("lognormal", a, b) for a, b in ((0.1, 0.5), (0.5, 0.1), (0.1, 1.0), (0.5, 1.0))),
    Times("log t with 3 degrees", 0.2, 0.2, is_required=False),
    Times("one in ten 1.5 times slower", 0.1, 0.1, is_required=False),
)
SOME_TIMES = [
    times for times in TIMES if (times.a, times.b) in ((0.1, 0.1), (0.1, 0.3), (0.3, 0.1), (1.0, 1.0))
]
"""For what is simulated one experiment at a time."""


@dataclass(frozen=True)
class Exams:
    """How scores of two levels differ on an exam: chances a question, and of an exam that half fails."""

    name: str
    gain: float
    loss: float
    half_fails: float = 0.0

    def draw(self, random: np.random.Generator, size: tuple[int, int]) -> Floats:
        """Score of B less score of A on each exam."""
        gained = random.binomial(QUESTIONS, self.gain, size)
        lost = random.binomial(QUESTIONS - gained, self.loss / (1 - self.gain))
        return (gained - lost) / QUESTIONS - 0.5 * (random.random(size) < self.half_fails)

    @property
    def truth(self) -> float:
        """The expected difference."""
        return self.gain - self.loss - 0.5 * self.half_fails


EXAMS = (
    Exams("questions differ rarely (0.2 % each way)", 0.002, 0.002),
    Exams("rare losses only (0.3 %)", 0.0, 0.003),
    Exams("losses only (1 %)", 0.0, 0.01),
    Exams("5 % each way", 0.05, 0.05),
    Exams("15 % each way", 0.15, 0.15),
    Exams("gains 5 %, losses 10 %", 0.05, 0.1),
    Exams("2 % each way, one exam in twenty half fails", 0.02, 0.02, 0.05),
)


def main() -> None:
    """Simulate every condition and write the figures and what they say."""
    frame = pd.DataFrame([*ratios(), *unpaired(), *scores()])
    frame["within_93_97"] = frame["coverage"].round(4).between(0.93, 0.97)
    frame["is_product"] = frame["method"] == frame["quantity"].map(PRODUCT)
    # There the product gives no interval.
    frame["is_product"] &= ~frame["quantity"].str.startswith("unpaired") | (frame["n"] >= FEWEST_UNPAIRED)
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.4g")
    write_text(OUT / "interval_coverage.csv", text)
    write_text(OUT / "interval_coverage.md", page(frame))


def page(frame: pd.DataFrame) -> str:
    """What the figures say: each method's lowest and highest coverage, and every miss of the product's."""
    lines = [
        INTRODUCTION,
        "| quantity | method | n | conditions | coverage, lowest to highest | median width |",
    ]
    lines.append("|" + " --- |" * 6)
    wanted = frame[(frame["is_required"] != False) & (frame["quantity"] != "score difference")]  # noqa: E712
    for (quantity, method, n), group in wanted.groupby(["quantity", "method", "n"], sort=False):
        mark = "**" if group["is_product"].all() else ""
        covered = f"{group['coverage'].min():.1%} to {group['coverage'].max():.1%}"
        width = group["median_width"].median()
        lines.append(f"| {quantity} | {mark}{method}{mark} | {n} | {len(group)} | {covered} | {width:.3g} |")
    lines += ["", SCORES, "| exams | works | product's rule | t alone |", "|" + " --- |" * 4]
    of_scores = frame[frame["quantity"] == "score difference"]
    for (shape, n), group in of_scores.groupby(["shape", "n"], sort=False):
        rule, alone = (group.loc[group["is_product"] == own, "coverage"].iloc[0] for own in (True, False))
        lines.append(f"| {shape} | {n} | {rule:.1%} | {alone:.1%} |")
    # Over-coverage of the scores' exact bound is its price, and is said above.
    misses = frame[frame["is_product"] & ~frame["within_93_97"]]
    misses = misses[(misses["quantity"] != "score difference") | (misses["coverage"] < 0.93)]
    lines += [
        "",
        f"Rows of the product's own methods outside 93 to 97 %, or, of scores, below 93 %: {len(misses)}.",
        "",
    ]
    lines += [f"- {_condition(row)}: {row.coverage:.1%}" for row in misses.itertuples()]
    return "\n".join([*lines, ""])


def _condition(row: Any) -> str:
    spreads = [f"{value:g}" for value in (row.spread_a, row.spread_b) if pd.notna(value)]
    return f"{row.quantity}, n = {row.n}, {row.shape}{' ' if spreads else ''}{' and '.join(spreads)}"


def ratios() -> Iterator[dict[str, Any]]:
    """Paired ratios with half of the variance from the block, and one side's median duration."""
    for number, (times, n) in enumerate(itertools.product(TIMES, RUNS)):
        a, b = times.draw(np.random.default_rng([SEED, number]), (EXPERIMENTS, n), 0.5)
        yield from _by_method("paired ratio", times, n, np.log(a) - np.log(b), 0.0)
        if times.a >= times.b:
            truth = float(np.log(times.median()))
            yield from _by_method("median duration", times, n, np.log(a), truth)


def unpaired() -> Iterator[dict[str, Any]]:
    """Ratios of runs that share no block: one work with equal and unequal numbers of runs, and five works."""
    for number, (times, n) in enumerate(itertools.product(TIMES, RUNS[:-1])):
        random = np.random.default_rng([SEED, 1, number])
        a, b = (np.log(side) for side in times.draw(random, (EXPERIMENTS, 10), 0.0))
        for name, runs_b in (("unpaired ratio", n), ("unpaired ratio, n runs against ten", 10)):
            ends = _ends(*welch_interval(a[:, :n], b[:, :runs_b]))
            yield _row(name, times, n, PRODUCT[name], ends, 0.0)
    for number, (times, runs) in enumerate(itertools.product(SOME_TIMES, (1, 2))):
        random = np.random.default_rng([SEED, 2, number])
        a, b = (np.log(side) for side in times.draw(random, (RESAMPLED, 5, runs), 0.0))
        # Works take from 1 to 5 times as long.
        longer = np.log(np.arange(1, 6))[:, None]
        found = [unpaired_interval([*(x + longer)], [*(y + longer)]) for x, y in zip(a, b, strict=True)]
        name = "unpaired ratio, five works"
        yield _row(name, times, 5 * runs, PRODUCT[name], _ends(*np.array(found).T), 0.0)


def scores() -> Iterator[dict[str, Any]]:
    """Differences of scores over works: the product's rule, and Student's t alone."""
    for number, (exams, n) in enumerate(itertools.product(EXAMS, WORKS)):
        gaps = exams.draw(np.random.default_rng([SEED, 3, number]), (RESAMPLED, n))
        found = [_score_ends(row) for row in gaps]
        method = PRODUCT["score difference"]
        for name, ends in (
            (method, tuple(np.array(found).T)),
            ("t over works alone", _ends(*t_interval(gaps))),
        ):
            covered = (ends[0] <= exams.truth + 1e-12) & (exams.truth <= ends[1] + 1e-12)
            yield {
                "quantity": "score difference",
                "shape": exams.name,
                "n": n,
                "method": name,
                "experiments": len(gaps),
                "coverage": covered.mean(),
                "median_width": np.median(ends[1] - ends[0]),
            }


def _by_method(quantity: str, times: Times, n: int, logs: Floats, truth: float) -> Iterator[dict[str, Any]]:
    yield _row(quantity, times, n, PRODUCT[quantity], _ends(*t_interval(logs)), truth)
    yield _row(quantity, times, n, "order statistics of the median", order_statistics(logs), truth)
    if 2 < n < (20 if quantity == "median duration" else 21):
        percentile, bca = bootstraps(logs[:RESAMPLED])
        yield _row(quantity, times, n, "percentile bootstrap of the median", percentile, truth)
        yield _row(quantity, times, n, "BCa bootstrap of the median", bca, truth)


def order_statistics(values: Floats) -> Ends:
    """Interval of the median between two order statistics, interpolated to 95 %; at n < 6 the whole range.

    Source: T. P. Hettmansperger and S. J. Sheather, Statistics & Probability Letters 4 (1986).
    """
    n, ordered = values.shape[-1], np.sort(values, axis=-1)
    held: Callable[[int], float] = lambda k: float(1 - 2 * stats.binom.cdf(k - 1, n, 0.5))  # noqa: E731
    ranks = [k for k in range(1, n // 2 + 1) if held(k) >= 0.95]
    if not ranks:
        return ordered[..., 0], ordered[..., -1]
    k = ranks[-1]
    excess = (held(k) - 0.95) / (held(k) - held(k + 1))
    inner = (n - k) * excess / (k + (n - 2 * k) * excess)
    low = (1 - inner) * ordered[..., k - 1] + inner * ordered[..., k]
    return low, (1 - inner) * ordered[..., n - k] + inner * ordered[..., n - k - 1]


def bootstraps(values: Floats) -> tuple[Ends, Ends]:
    """Percentile and BCa intervals of the median from the same resamples, by `scipy.stats.bootstrap`."""
    random = np.random.default_rng([SEED, 4, values.shape[-1]])
    with np.errstate(all="ignore"):
        found = stats.bootstrap(
            (values,), np.median, axis=-1, n_resamples=RESAMPLES, method="BCa", rng=random, batch=100
        )
        again = stats.bootstrap(
            (values,), np.median, axis=-1, n_resamples=0, method="percentile", bootstrap_result=found
        )
    return tuple(again.confidence_interval), tuple(found.confidence_interval)


def _row(quantity: str, times: Times, n: int, method: str, ends: Ends, truth: float) -> dict[str, Any]:
    low, high = ends
    return {
        "quantity": quantity,
        "shape": times.shape,
        "spread_a": times.a,
        "spread_b": times.b if quantity != "median duration" else None,
        "is_required": times.is_required,
        "n": n,
        "method": method,
        "experiments": len(low),
        "coverage": ((low <= truth) & (truth <= high)).mean(),
        "median_width": np.nanmedian(high - low),
    }


def _ends(centre: Any, margin: Any) -> Ends:
    return centre - margin, centre + margin


def _score_ends(gaps: Floats) -> tuple[float, float]:
    works = [str(number) for number in range(len(gaps))]
    found = score_difference("", dict.fromkeys(works, 0.0), dict(zip(works, gaps, strict=True)))
    return float(found.low or 0.0), float(found.high or 0.0)


if __name__ == "__main__":
    main()
