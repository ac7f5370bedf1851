"""A certificate as a short page that can be handed on: the verdict in its first line."""

from collections.abc import Mapping
from typing import Any

from swarmlab.records.contrast import Contrast
from swarmlab.records.contrast_text import caption, contrast_markdown, score_text
from swarmlab.records.render import escape_cell
from swarmlab.records.scores import ENOUGH_DIFFERING
from swarmlab.records.verdict import TOLERANCE, VERDICTS, Verdict

__all__ = ["certificate_markdown"]

_METHOD = (
    "Speed is resampled over pairs of runs of equal work in one block: median of the paired ratios, and "
    "Student's t interval of their logarithms (95 %; coverage: `results/reference/interval_coverage.md`).",
    "Quality is resampled over works (a brief with its exam); repeats of a work are one observation, their "
    f"mean. Where {ENOUGH_DIFFERING} or more works score unlike: Student's t interval of the mean "
    "difference. Where fewer do: an exact 97.5 % bound on the share of works that do, each counted as a "
    "whole exam.",
    "Not inferior: the interval's lower end is above minus the margin, for every score. Tool facts that are "
    "identical on every work make the difference in required facts exactly 0; where no lossy switch differs, "
    "equal facts, tokens and scores on every work do so for the other scores.",
    "Pairs to decide: the smallest n of ten or more with t(0.975, n - 1) s / sqrt(n) < d, s and d being the "
    f"spread of the log ratios and the distance of their mean from 0 or from log {1 + TOLERANCE:g}. Works to "
    "decide: the same, s and d being the spread of the score's differences and the distance of their mean "
    "from minus the margin; or log(0.025) / log(1 - margin) works, none of them worse.",
)


def certificate_markdown(found: Contrast, verdict: Verdict, written: Mapping[str, Any]) -> str:
    """Return the page.

    Parameters
    ----------
    found, verdict
        The contrast and what it proves.
    written
        The certificate's JSON: `margin`, `switches`, `lossy_switches`, `environment`. The first line of a
        simulated one says so.
    """
    a, b = escape_cell(found.a.level), escape_cell(found.b.level)
    said = f"{escape_cell(f'S{found.timing[1:]}')}. " if found.is_simulated else ""
    lines = [
        f"# {said}{verdict.verdict.capitalize()}: {b} against {a}",
        "",
        f"{VERDICTS[verdict.verdict].capitalize()}. Non-inferiority margin {written['margin']:g}.",
        "",
        *(f"- {escape_cell(reason)}" for reason in verdict.reasons),
        *_decide(verdict),
        "",
        "## What was compared",
        "",
        *_what(found, written),
        "",
        *contrast_markdown(found),
        "",
        escape_cell(caption(found)),
        "",
        "## How it was made",
        "",
        *_environment(written["environment"]),
        "",
        "## Method",
        "",
        *(f"- {sentence}" for sentence in _METHOD),
    ]
    return "\n".join([*lines, ""])


def _decide(verdict: Verdict) -> list[str]:
    """Say what would decide, if runs go on as they did."""
    if verdict.verdict != "inconclusive":
        return []
    needs = []
    if verdict.pairs_needed is not None:
        needs.append(f"about {verdict.pairs_needed:,} pairs in all for the speed")
    if verdict.works_needed is not None:
        needs.append(f"about {verdict.works_needed:,} works (briefs with exams) in all for the quality")
    return ["", f"What would decide, if runs go on as they did: {' and '.join(needs)}."] if needs else []


def _what(found: Contrast, written: Mapping[str, Any]) -> list[str]:
    switches, lossy = written["switches"], written["lossy_switches"]
    if switches is None:
        differ = "Switches: not known, so that all count as lossy."
    elif not switches:
        differ = "Switches: none differs (an A/A pair)."
    else:
        kinds = [f"{name} ({'lossy' if name in lossy else 'lossless'})" for name in switches]
        differ = f"Switches that differ: {', '.join(kinds)}."
    works = f"{len(found.works)} work{'' if len(found.works) == 1 else 's'}"
    exact = [score_text(score.metric) for score in found.scores if score.method.startswith("exact:")]
    clock = "a virtual clock: simulated durations" if found.is_simulated else "a wall clock"
    return [
        f"- {differ}",
        f"- Work: {works} on {escape_cell(found.data_name or 'data not named')}, {found.cache_state} cache, "
        f"{escape_cell(found.model or 'model not named')}, {clock}.",
        f"- Tool facts on those works: {found.facts}.",
        *([f"- Equal by identity, not by statistics: {', '.join(exact)}."] if exact else []),
    ]


def _environment(environment: Mapping[str, Any]) -> list[str]:
    machine = {name: value for name, value in environment["machine"].items() if value is not None}
    pairs = {
        "Results": environment["results"],
        "Command": environment["command"],
        "First run": environment["started"],
        "Code version": ", ".join(environment["code_version"]),
        "Model file": ", ".join(value[:16] for value in environment["model_hash"]),
        "Data fingerprint": ", ".join(value[:16] for value in environment["data_fingerprint"]),
        "Exam seeds": ", ".join(environment["seeds"]),
        "Machine": ", ".join(f"{name} {value}" for name, value in machine.items()),
    }
    return [f"- {name}: {escape_cell(str(value))}" for name, value in pairs.items() if value]
