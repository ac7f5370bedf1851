"""Prints how often the ledger's 95 % intervals cover the true credits, over simulated ablations.

`python experiments/ledger_coverage.py [N]` simulates N ablations a row (default 1000, in some minutes). Base
takes 60 s and each factor multiplies it, so factors interact; blocks drift by a tenth. Where briefs differ, a
factor does more in one block than in another, by a tenth: two such blocks show why the ledger gives no
interval from the spread within cells unless all blocks do the same work.
"""

import itertools
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from swarmlab.records.credit import (
    Credits,
    factorial_credits,
    interaction_contrasts,
    path_credits,
    shapley_contrasts,
)
from swarmlab.records.estimate import Estimate, Units

Floats = NDArray[np.float64]
FACTORS = np.array([0.75, 0.85, 0.9, 0.8, 0.95, 0.7, 1.1])
NOISE = ("normal", "lognormal", "one in ten 1.5 times slower")
SEED = 7


def main(n: int) -> None:
    """Print a Markdown table, a row a design and kind of noise."""
    random = np.random.default_rng(SEED)
    print("| design | noise | briefs | credits | total | interactions |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (k, blocks), noise, differ in itertools.product(
        [(2, 2), (5, 2), (5, 3), (5, 5), (5, 10)], NOISE, (False, True)
    ):
        found = [_factorial(random, k, blocks, noise, differ=differ) for _ in range(n)]
        _print(f"factorial of {k}, {blocks} blocks", noise, differ, found, k)
    for (k, blocks), noise, differ in itertools.product([(7, 10), (7, 20)], NOISE, (False, True)):
        found = [_orders(random, k, blocks, noise, differ=differ) for _ in range(n)]
        _print(f"{blocks} orders of {k}", noise, differ, found, k)


def _cells(k: int) -> NDArray[np.bool_]:
    return np.array(list(itertools.product([False, True], repeat=k)))


def _seconds(random: np.random.Generator, on: NDArray[np.bool_], noise: str, *, differ: bool) -> Floats:
    """Seconds of runs with factors `on`, shape (blocks, runs, factors), of which each block has its drift."""
    blocks, runs, k = on.shape
    effect = np.log(FACTORS[:k]) + (0.1 * random.normal(size=(blocks, 1, k)) - 0.005 if differ else 0.0)
    drift = np.exp(0.1 * random.normal(size=(blocks, 1)) - 0.005)
    spread = {
        "normal": lambda: 1 + 0.06 * random.normal(size=(blocks, runs)),
        "lognormal": lambda: np.exp(0.25 * random.normal(size=(blocks, runs)) - 0.03125),
        NOISE[2]: lambda: (
            (1 + 0.03 * random.normal(size=(blocks, runs)))
            * np.where(random.random((blocks, runs)) < 0.1, 1.5, 1.0)
            / 1.05
        ),
    }
    seconds: Floats = 60 * np.exp((on * effect).sum(axis=2)) * drift * spread[noise]()
    return seconds


def _factorial(random: np.random.Generator, k: int, blocks: int, noise: str, *, differ: bool) -> Credits:
    on = _cells(k)
    values = _seconds(random, np.tile(on, (blocks, 1, 1)), noise, differ=differ)
    found = factorial_credits(values, on, Units(range(blocks), "blocks"), pooled=True)
    assert found is not None
    return found


def _orders(random: np.random.Generator, k: int, blocks: int, noise: str, *, differ: bool) -> Credits:
    drawn = [random.permutation(k) for _ in range(blocks // 2)]
    orders = np.array([order for one in drawn for order in (one, one[::-1])])
    on = np.arange(k + 1)[None, :, None] > np.argsort(orders, axis=1)[:, None, :]
    values = _seconds(random, on, noise, differ=differ)
    units = Units([block // 2 for block in range(blocks)], "pairs of orders")
    found = path_credits(values, orders, units, pooled=True)
    assert found is not None
    return found


def _print(design: str, noise: str, differ: bool, found: Sequence[Credits], k: int) -> None:
    on = _cells(k)
    truth = 60 * np.prod(np.where(on, FACTORS[:k], 1.0), axis=1)
    credits, pairs = shapley_contrasts(on) @ truth, interaction_contrasts(on) @ truth
    shares = [
        _covered(
            [(estimate, value) for one in found for estimate, value in zip(one.credits, credits, strict=True)]
        ),
        _covered([(one.total, truth[-1] - truth[0]) for one in found]),
        _covered(
            [
                (estimate, value)
                for one in found
                for estimate, value in zip(one.interactions, pairs, strict=True)
            ]
        ),
    ]
    print(f"| {design} | {noise} | {'differ' if differ else 'one'} | {' | '.join(shares)} |", flush=True)


def _covered(pairs: Sequence[tuple[Estimate, float]]) -> str:
    """Share of the intervals there are that hold the true value."""
    given = [(e.low, value, e.high) for e, value in pairs if e.low is not None and e.high is not None]
    return f"{np.mean([low <= value <= high for low, value, high in given]):.3f}" if given else "none"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
