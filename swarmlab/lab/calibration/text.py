"""How texts turn into tokens and how long answers are, fitted to a tokenizer and to measured answers."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from langchain_core.messages import HumanMessage, SystemMessage
from scipy.optimize import lsq_linear

from swarmlab.errors import SpecError
from swarmlab.lab.calibration.prompts import Asked
from swarmlab.lab.calibration.rates import unbiased_fit
from swarmlab.lab.calibration.runs import Measurements
from swarmlab.lab.calibration.spec import Work
from swarmlab.models import EmbeddedChat, LoadedModel
from swarmlab.models.profile import Lengths, Text, TokenCount
from swarmlab.models.text_tokens import Features, text_features

PURPOSES: Mapping[str, str] = {
    "decide": "decision",
    "draft": "contribution",
    "summarise": "board_summary",
    "choose": "tool_choice",
}
"""Title of the schema that calls of a purpose answer."""
PROMPT = "prompt"
SETTINGS: Mapping[str, Lengths] = {
    "least": Lengths(words=0, items=0),
    "words": Lengths(words=1, items=0),
    "items": Lengths(words=0, items=1),
}
"""Lengths at which each answer is written: between them its tokens are taken to grow in proportion."""
FEATURES = list(Features._fields)


def count_texts(asked: Iterable[tuple[Work, Asked]], model: LoadedModel) -> pd.DataFrame:
    """Count the tokens of prompts, and what answers to them hold as the simulation writes them.

    Parameters
    ----------
    asked
        Calls, each with its work.
    model
        An embedded model, which knows its tokenizer.

    Returns
    -------
    DataFrame
        One row a text: work, level, title, setting (`prompt`, or one of `SETTINGS`), what it holds
        (`swarmlab.models.text_tokens.Features`), and a prompt's exact tokens (0 for an answer).

    Raises
    ------
    SpecError
        The model is not an embedded one.
    """
    chat = model.chat
    if not isinstance(chat, EmbeddedChat):
        raise SpecError(
            f"{model.id} does not tell how it cuts texts into tokens; calibrate an embedded model"
        )
    rows: list[dict[str, Any]] = []
    for work, call in asked:
        told = {"work": work.name, "level": call.level, "title": call.title}
        exact = chat.get_num_tokens_from_messages([SystemMessage(call.system), HumanMessage(call.user)])
        both = zip(FEATURES, text_features(call.system), text_features(call.user), strict=True)
        rows.append({**told, "setting": PROMPT, **{name: a + b for name, a, b in both}, "tokens": exact})
        for setting, lengths in SETTINGS.items():
            holds = zip(FEATURES, text_features(call.answer(lengths)), strict=True)
            rows.append({**told, "setting": setting, **dict(holds), "tokens": 0})
    return pd.DataFrame(rows)


def fit_text(texts: pd.DataFrame, measured: Measurements) -> Text:
    """Fit token counts to counted texts and measured answers, and lengths to what the model wrote.

    Raises
    ------
    SpecError
        Texts and measured runs have no level and kind of answer in common.
    """
    prompts, answers = texts[texts["setting"] == PROMPT], texts[texts["setting"] != PROMPT]
    of_answers = _weights(with_features(measured.answers), is_prompt=False)
    calls = measured.calls[measured.calls["level"].isin(answers["level"])]
    lengths = {
        title: _lengths(counted(answers[answers["title"] == title], of_answers), written)
        for title in dict.fromkeys(PURPOSES.values())
        if len(written := _written(calls, title)) and (answers["title"] == title).any()
    }
    if not lengths:
        raise SpecError("the texts of a calibration and its runs have no level and kind of answer in common")
    default = lengths.get("contribution", next(iter(lengths.values())))
    return Text(
        tokens=_weights(prompts, is_prompt=True),
        answer_tokens=of_answers,
        lengths={"default": default, **lengths},
    )


def with_features(answers: pd.DataFrame) -> pd.DataFrame:
    """Answers with what their `text` holds."""
    holds = pd.DataFrame([text_features(text) for text in answers["text"]], columns=FEATURES)
    return pd.concat([answers.reset_index(drop=True), holds], axis=1)


def _written(calls: pd.DataFrame, title: str) -> pd.DataFrame:
    return calls[calls["purpose"].map(PURPOSES) == title]


def _weights(texts: pd.DataFrame, *, is_prompt: bool) -> TokenCount:
    """Weights of what texts hold; every prompt has two messages, so the rest of one is shared by them."""
    holds = texts[FEATURES].to_numpy(float)
    fitted = unbiased_fit(np.c_[holds, np.ones(len(texts))], texts["tokens"].to_numpy(float))
    word, letter, digit, symbol, line, rest = (float(weight) for weight in fitted)
    return TokenCount(
        per_word=word,
        per_letter=letter,
        per_digit=digit,
        per_symbol=symbol,
        per_line=line,
        per_message=rest / 2 if is_prompt else 0.0,
        per_prompt=0.0 if is_prompt else rest,
    )


def counted(texts: pd.DataFrame, weights: TokenCount) -> pd.DataFrame:
    """The texts with the tokens that the weights give them, `counted`; for prompts of two messages."""
    factors = [
        weights.per_word,
        weights.per_letter,
        weights.per_digit,
        weights.per_symbol,
        weights.per_line,
    ]
    rest = 2 * weights.per_message + weights.per_prompt
    return texts.assign(counted=texts[FEATURES].to_numpy(float) @ np.array(factors) + rest)


def _lengths(answers: pd.DataFrame, written: pd.DataFrame) -> Lengths:
    """Words and items at which answers are as long as the measured ones, at each level alike.

    The relative error of the mean tokens of a level's answers is least in squares over the levels.
    """
    means = answers.pivot_table(index="level", columns="setting", values="counted", aggfunc="mean")
    measured = written.groupby("level")["decode_tokens"].mean()
    both = means.index.intersection(measured.index)
    means, measured = means.loc[both], measured.loc[both]
    words, items = means["words"] - means["least"], means["items"] - means["least"]
    grows = np.c_[words, items] / measured.to_numpy()[:, None]
    wanted = ((measured - means["least"]) / measured).to_numpy()
    if not len(both) or not grows.any():
        return Lengths()
    solved = lsq_linear(grows, wanted, bounds=(0, 1)).x
    share = float(solved[0]) if words.any() else 0.5
    groups = written[written["level"].isin(both)].groupby(["level", "agent"])["decode_tokens"]
    spread = float((groups.var() * groups.count()).sum() / max(groups.count().sum(), 1)) ** 0.5
    reach = 3**0.5 * spread / float(words.mean()) if words.any() else 0.0
    return Lengths(
        words=share,
        # Of a uniform draw: its half-width. Beyond the bounds it would shift the mean.
        words_spread=min(reach, share, 1 - share),
        items=float(solved[1]) if items.any() else 0.5,
    )


def text_errors(texts: pd.DataFrame, answers: pd.DataFrame, text: Text) -> pd.DataFrame:
    """How well tokens are counted: one row a schema's title and kind of text.

    Parameters
    ----------
    texts, answers
        Of `count_texts` and of `Measurements`.

    Returns
    -------
    DataFrame
        `title`, `of` (`prompts` or `answers`), `n`, `bias` (counted over exact tokens, less 1), and the
        median and 95th percentile of the absolute relative error.
    """
    prompts = counted(texts[texts["setting"] == PROMPT], text.tokens)
    written = counted(with_features(answers), text.answer_tokens or text.tokens)
    rows = []
    for of, part in (("prompts", prompts), ("answers", written)):
        for title, group in [("all", part), *part.groupby("title")]:
            error = (group["counted"] / group["tokens"] - 1).abs()
            rows.append(
                {
                    "title": title,
                    "of": of,
                    "n": len(group),
                    "bias": float(group["counted"].sum() / group["tokens"].sum() - 1),
                    "error_median": float(error.median()),
                    "error_p95": float(error.quantile(0.95)),
                }
            )
    return pd.DataFrame(rows)


def length_errors(texts: pd.DataFrame, calls: pd.DataFrame, text: Text) -> pd.DataFrame:
    """Mean tokens of answers, measured and simulated, by title and level: `title`, `level`, both, `bias`."""
    answers = counted(texts[texts["setting"] != PROMPT], text.answer_tokens or text.tokens)
    means = answers.pivot_table(index=["title", "level"], columns="setting", values="counted", aggfunc="mean")
    rows = []
    for mean in means.reset_index().to_dict("records"):
        title, level = str(mean["title"]), str(mean["level"])
        written = _written(calls, title)
        measured = float(written.loc[written["level"] == level, "decode_tokens"].mean())
        lengths = text.lengths.get(title, text.lengths["default"])
        told = float(
            mean["least"]
            + lengths.words * (mean["words"] - mean["least"])
            + lengths.items * (mean["items"] - mean["least"])
        )
        if measured > 0:
            row = {"title": title, "level": level, "measured": measured, "simulated": told}
            rows.append({**row, "bias": told / measured - 1})
    return pd.DataFrame(rows)
