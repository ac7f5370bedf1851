"""A fitted profile put together from its parts, and written as YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from swarmlab.lab.calibration.rates import (
    FORMULAS,
    errors_frame,
    fit_jitter,
    fit_overhead,
    fit_rates,
    with_fitted,
)
from swarmlab.lab.calibration.runs import Measurements
from swarmlab.lab.calibration.spec import Known
from swarmlab.lab.calibration.text import fit_text, length_errors, text_errors
from swarmlab.lab.calibration.tools import fit_tools, tool_errors
from swarmlab.models.profile import Profile, load_profile
from swarmlab.records.atomic import write_text
from swarmlab.trace.clock import WallClock

DIGITS = 4
"""Significant digits of a written number; the runs do not tell more."""


def fit_profile(
    known: Known, measured: Measurements, texts: pd.DataFrame, times: pd.DataFrame
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Fit every part of a profile.

    Returns
    -------
    tuple
        The profile as it is to be written, and tables by name: `calls` (measured and fitted), and the errors
        of calls and runs, of token counts, of lengths and of tools.
    """
    rates = fit_rates(measured.calls)
    calls = with_fitted(measured.calls, rates)
    text, tools = fit_text(texts, measured), fit_tools(times)
    tables = {
        "calls": calls,
        "errors": errors_frame(calls),
        "text_errors": text_errors(texts, measured.answers, text),
        "length_errors": length_errors(texts, measured.calls, text),
        "tool_errors": tool_errors(times, tools),
    }
    fields = {
        "name": known.name,
        "kind": "calibrated",
        "about": known.about,
        "time_to_first_token_s": rates.time_to_first_token_s,
        "prefill": rates.prefill.model_dump(),
        "decode": rates.decode.model_dump(),
        **known.model_dump(include={"concurrency"}),
        **known.model_dump(include={"batching", "prefix_cache"}, exclude_defaults=True),
        "jitter": fit_jitter(calls).model_dump(),
        "context_tokens": known.context_tokens,
        "text": text.model_dump(exclude_none=True),
        "overhead": fit_overhead(measured.own).model_dump(),
        "tools": {impl: costs.model_dump() for impl, costs in tools.items()},
        "calibration": _account(measured, tables),
    }
    rounded: dict[str, Any] = _rounded(fields)
    return rounded, tables


def _account(measured: Measurements, tables: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """From which runs, by which code and formulas, with which residuals."""
    errors = tables["errors"]
    kept = errors[errors["of"].isin(["all calls", "whole runs"])]
    prompts = tables["text_errors"].query("title == 'all' and of == 'prompts'").iloc[0]
    return {
        "made_on": WallClock().utc_now().date().isoformat(),
        "model": measured.model,
        "sources": [dict(source) for source in measured.sources],
        "n_runs": int(measured.calls.groupby(["experiment", "run_id"]).ngroups),
        "n_calls": len(measured.calls),
        "formulas": dict(FORMULAS),
        "residuals": {
            f"{row['phase']}, {row['of']}": {
                name: float(row[name]) for name in ("r2", "error_median", "error_p95")
            }
            for row in kept.to_dict("records")
        },
        "prompt_tokens": {name: float(prompts[name]) for name in ("error_median", "error_p95")},
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def write_profile(path: Path, fields: Mapping[str, Any]) -> Profile:
    """Write a profile and read it back.

    Raises
    ------
    StoreError
        The place cannot be written.
    SpecError
        A fitted figure is out of the range that a profile allows; names the field.
    """
    figures = {name: value for name, value in fields.items() if name != "calibration"}
    account = {"calibration": fields["calibration"]}
    text = yaml.safe_dump(figures, sort_keys=False, default_flow_style=None, width=110)
    write_text(path, text + yaml.safe_dump(account, sort_keys=False, width=110))
    return load_profile(str(path))
