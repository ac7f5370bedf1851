"""How long answers are, fitted to measured ones: words of a sentence, items of a list."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import least_squares

from swarmlab.models.profile import Lengths

WORDS = (2, 4, 6, 8, 10, 12, 15, 18, 21, 25, 30)
"""Lengths of a sentence at which each answer is written: between them its tokens grow in proportion."""
LEAST, ITEMS = f"{WORDS[0]} words", "items"
SETTINGS: Mapping[str, Lengths] = {
    **{f"{n} words": Lengths(items=0, sentence_words=n) for n in WORDS},
    ITEMS: Lengths(items=1, sentence_words=WORDS[0]),
}
"""Lengths at which each answer is written, by name; the schema's bounds cut them."""
_START = (14.0, 14.0, 6.0)
"""Words of a sentence, of one from a listed prompt, and their spread, where runs tell no better."""
_HOLD = 0.001
"""How much a word's distance from the start counts beside a relative error: next to nothing."""
_DRAWS = np.linspace(-1, 1, 81)[1::2]
"""Middles of equal parts of a uniform draw."""


def mean_tokens(answers: pd.DataFrame) -> pd.DataFrame:
    """Mean `counted` tokens of the answers to prompts with list items and without, by level.

    Parameters
    ----------
    answers
        Of one title: level, listed, setting (of `SETTINGS`) and `counted`.

    Returns
    -------
    DataFrame
        One row a level and kind of prompt (index), one column a setting, and the kind's `share` of the level.
    """
    groups = answers.groupby(["level", "listed", "setting"])["counted"]
    means, sizes = groups.mean().unstack("setting"), groups.size().unstack("setting")[LEAST]
    return means.assign(share=sizes / sizes.groupby("level").transform("sum"))


def simulated_tokens(means: pd.DataFrame, lengths: Lengths) -> pd.Series:
    """Mean tokens of a level's answers at these lengths, from `mean_tokens`; of `sentence_words` only."""
    free = lengths.sentence_words or _START[0]
    words = means.index.get_level_values("listed").map(
        {False: free, True: lengths.sentence_words_listed or free}
    )
    drawn = words.to_numpy(float)[:, None] + lengths.sentence_spread * _DRAWS
    grid = means[[f"{n} words" for n in WORDS]].to_numpy(float)
    told = [np.interp(at, WORDS, row).mean() for at, row in zip(drawn, grid, strict=True)]
    items = lengths.items * (means[ITEMS] - means[LEAST])
    return ((told + items) * means["share"]).groupby("level").sum()


def fit_lengths(answers: pd.DataFrame, written: pd.DataFrame, kept: pd.DataFrame) -> Lengths:
    """Lengths at which answers of one title are as long as the measured ones, at each level alike.

    Items are those of the answers that were kept. Words make the relative error of the levels' mean tokens
    least in squares; a level counts by its different answers, since one prompt gets one answer.

    Parameters
    ----------
    answers
        As the simulation writes them at `SETTINGS`: level, listed, setting, n_items, `counted`.
    written
        Measured calls: level, agent, prefill_tokens, decode_tokens.
    kept
        Measured answers: level and `text`.
    """
    different = written.drop_duplicates(["level", "agent", "prefill_tokens", "decode_tokens"])
    measured = different.groupby("level")["decode_tokens"].agg(["mean", "size"])
    means = mean_tokens(answers)
    levels = means.index.get_level_values("level").intersection(measured.index)
    items = _items(answers, kept)
    means, measured = means[means.index.get_level_values("level").isin(levels)], measured.loc[levels.unique()]
    if not len(means) or not (means[f"{WORDS[-1]} words"] > means[LEAST]).any():
        return Lengths(items=items)
    weight = np.sqrt(measured["size"] / measured["size"].mean())

    def errors(words: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        told = simulated_tokens(means, _lengths(words, items)).loc[measured.index]
        return np.asarray(np.r_[(told / measured["mean"] - 1) * weight, _HOLD * (words - _START)])

    bounds = ([1, 1, 0], [WORDS[-1], WORDS[-1], WORDS[-1] / 2])
    return _lengths(least_squares(errors, _START, bounds=bounds, diff_step=0.01).x, items)


def _lengths(words: np.ndarray[Any, Any], items: float) -> Lengths:
    free, listed, spread = map(float, words)
    return Lengths(items=items, sentence_words=free, sentence_words_listed=listed, sentence_spread=spread)


def _items(answers: pd.DataFrame, kept: pd.DataFrame) -> float:
    """Share of the room for items that the kept answers take; the middle where nothing is told."""
    room = answers.pivot_table(index="level", columns="setting", values="n_items", aggfunc="mean")
    different = kept[kept["level"].isin(room.index)].drop_duplicates(["level", "text"])
    if not len(different):
        return 0.5
    room = room.loc[different["level"]]
    taken = float(different["text"].map(n_items).sum() - room[LEAST].sum())
    free = float((room[ITEMS] - room[LEAST]).sum())
    return min(max(taken / free, 0.0), 1.0) if free else 0.5


def n_items(text: str) -> int:
    """Items of the lists in a JSON object."""
    return sum(len(part) for part in json.loads(text).values() if isinstance(part, list))
