"""How texts turn into tokens and how long answers are, fitted to a tokenizer and to measured answers."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from langchain_core.messages import HumanMessage, SystemMessage

from swarmlab.errors import SpecError
from swarmlab.lab.calibration.lengths import SETTINGS, fit_lengths, mean_tokens, n_items, simulated_tokens
from swarmlab.lab.calibration.prompts import Asked
from swarmlab.lab.calibration.rates import unbiased_fit
from swarmlab.lab.calibration.runs import Measurements
from swarmlab.lab.calibration.spec import Work
from swarmlab.models import EmbeddedChat, LoadedModel
from swarmlab.models.profile import Text, TokenCount
from swarmlab.models.text_tokens import Features, text_features
from swarmlab.models.writing import is_listed

PURPOSES: Mapping[str, str] = {
    "decide": "decision",
    "draft": "contribution",
    "summarise": "board_summary",
    "choose": "tool_choice",
}
"""Title of the schema that calls of a purpose answer."""
PROMPT = "prompt"
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
        One row a text: work, level, title, whether the prompt is `listed` (holds list items), setting
        (`prompt`, or one of `SETTINGS`), n_items of an answer's lists, what the text holds
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
        exact = chat.get_num_tokens_from_messages([SystemMessage(call.system), HumanMessage(call.user)])
        rows += [{"work": work.name, **row, "tokens": 0} for row in text_rows(call)]
        rows[-1]["tokens"] = exact
    return pd.DataFrame(rows)


def text_rows(call: Asked) -> list[dict[str, Any]]:
    """Rows of `count_texts`, but for work and tokens: the answers at all settings, and the prompt last."""
    told = {"level": call.level, "title": call.title, "listed": is_listed(call.user)}
    rows: list[dict[str, Any]] = []
    for setting, lengths in SETTINGS.items():
        text = call.answer(lengths)
        holds = zip(FEATURES, text_features(text), strict=True)
        rows.append({**told, "setting": setting, "n_items": n_items(text), **dict(holds)})
    both = zip(FEATURES, text_features(call.system), text_features(call.user), strict=True)
    rows.append({**told, "setting": PROMPT, "n_items": 0, **{name: a + b for name, a, b in both}})
    return rows


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
    lengths = {}
    for title in dict.fromkeys(PURPOSES.values()):
        told, written = answers[answers["title"] == title], _written(calls, title)
        if len(told) and len(written):
            kept = measured.answers[measured.answers["title"] == title]
            lengths[title] = fit_lengths(counted(told, of_answers), written, kept)
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
    rows = []
    for title, part in answers.groupby("title"):
        lengths = text.lengths.get(str(title), text.lengths["default"])
        means = _written(calls, str(title)).groupby("level")["decode_tokens"].mean()
        both = pd.DataFrame({"measured": means, "simulated": simulated_tokens(mean_tokens(part), lengths)})
        told = both.dropna().rename_axis("level").reset_index()
        rows.append(told.assign(title=title, bias=told["simulated"] / told["measured"] - 1))
    return pd.concat(rows)[["title", "level", "measured", "simulated", "bias"]]
