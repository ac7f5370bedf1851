"""The report: one HTML file that needs no other, made only from what is on disk."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from swarmlab.errors import StoreError
from swarmlab.records.atomic import write_text
from swarmlab.records.caveats import caveats
from swarmlab.records.collect import collect
from swarmlab.records.ledger_text import display_ledger, ledger_groups, ledger_sentences
from swarmlab.records.manifest import read_manifest
from swarmlab.records.palette import simulated_prefix
from swarmlab.records.plots import PlotOptions, plots_of, write_figures
from swarmlab.records.published import SourceStudy
from swarmlab.records.render import display_frame, display_steps, duration_text, in_level_order
from swarmlab.records.tables import Tables
from swarmlab.records.timing import is_simulated, timing, timings, titled
from swarmlab.trace.spans import CATEGORIES

__all__ = ["publish", "report_html", "write_report"]

_CAPTIONS = {
    "breakdown": "Mean of each level's runs; the black line spans the fastest and the slowest. "
    "Published bars have an axis of their own and are not comparable.",
    "gantt": "Solid: calls. Pale: what contains them. Overlapping calls of one agent are on separate rows.",
    "quality": "Large marks are medians of a level; small ones single runs.",
    "waterfall": "Each bar begins where the one above ends; black lines are 95 % intervals of the credits.",
}
_TIMES = ("exclusive_s", "critical_path_s", "busy_s")
_SECTIONS = (
    ("run", "What was run"),
    ("comparison", "Comparison"),
    ("breakdown", "Breakdown"),
    ("run-over-time", "One run"),
    ("quality", "Quality"),
    ("alerts", "Alerts"),
    ("failures", "Failures"),
    ("runs", "Every run"),
    ("environment", "Environment"),
    ("regenerate", "Regenerate"),
)
_ID = re.compile(r"(<[^>]*?\sid=\")")
_REFERENCE = re.compile(r"(url\(#|xlink:href=\"#|href=\"#)")


def publish(
    experiment_dir: Path, study: SourceStudy | None = None, options: PlotOptions | None = None
) -> dict[str, pd.DataFrame]:
    """Make every table, figure and the report of an experiment from its run folders.

    Parameters
    ----------
    experiment_dir
        The results folder.
    study
        The published study to show beside ours; None leaves it out.
    options
        What the plots may be told.

    Returns
    -------
    dict
        The tables by name.

    Raises
    ------
    StoreError
        There is no such folder, or it cannot be written.
    """
    tables = collect(experiment_dir, study)
    write_figures(experiment_dir, tables, options)
    write_report(experiment_dir, tables, study)
    return tables


def write_report(experiment_dir: Path, tables: Tables, study: SourceStudy | None = None) -> Path:
    """Write `report.html` from the experiment's tables, its manifest and its figures on disk.

    Raises
    ------
    StoreError
        The manifest or a figure cannot be read, or the file not be written.
    """
    path = experiment_dir / "report.html"
    figures = {plot: _read_figure(experiment_dir / "figures" / f"{plot}.svg") for plot in plots_of(tables)}
    name = experiment_dir.resolve().name
    write_text(path, report_html(name, tables, read_manifest(experiment_dir), figures, study))
    return path


def report_html(
    name: str,
    tables: Tables,
    manifest: Mapping[str, Any],
    figures: Mapping[str, str],
    study: SourceStudy | None = None,
) -> str:
    """Return the report as HTML. Every name in it is escaped, and nothing in it is fetched from elsewhere.

    Parameters
    ----------
    name
        The results folder's name.
    tables
        As `build_tables` makes them.
    manifest
        What ran where; `command` in it is shown as the way to run the experiment again.
    figures
        SVG text of each of `plots_of`, as `svg_text` makes it.
    study
        The published study; None leaves its section out.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    runs, comparison = tables["runs"], tables["comparison"]
    page = environment.get_template("report.html.j2").render(
        title=f"{simulated_prefix(runs)}{name}",
        timing=titled("", runs),
        summary=_summary(runs),
        sections=_sections(tables, study),
        what=_what(runs),
        comparison=_shown(display_frame(comparison), comparison["kind"]),
        caveats=caveats(comparison),
        ledgers=_ledgers(tables["ledger"]),
        breakdowns=[(of, _breakdown(tables["breakdown"], of)) for of in _TIMES],
        steps=_shown(display_steps(tables["steps"])),
        figures={plot: _figure(plot, svg) for plot, svg in figures.items()},
        alerts=_alerts(comparison),
        failures=_shown(
            runs.loc[runs["status"] != "ok", ["run_id", "level", "cache_state", "status", "error"]]
        ),
        attempted=len(runs),
        runs=_every_run(runs),
        manifest=_pairs(_flat(manifest)),
        command=manifest.get("command"),
        report_command="swarmlab report .",
        study=_study(study),
    )
    return page + "\n"


def _sections(tables: Tables, study: SourceStudy | None) -> list[tuple[str, str]]:
    sections = list(_SECTIONS)
    if len(tables["ledger"]):
        sections.insert(2, ("ledger", "Ledger"))
    return [*sections, *([("source-study", "Source study")] if study else [])]


def _ledgers(ledger: pd.DataFrame) -> list[dict[str, Any]]:
    """Return each part of the ledger that is a sum of its own, with its interactions and its sentences."""
    return [
        {
            "name": name,
            "credits": _shown(display_ledger(group)),
            "interactions": _shown(display_ledger(group, interactions=True)),
            "sentences": ledger_sentences(group),
        }
        for name, group in ledger_groups(ledger)
    ]


def _summary(runs: pd.DataFrame) -> str:
    succeeded = int((runs["status"] == "ok").sum())
    kinds = {"measured": "measured on a wall clock"}
    clocks = " and ".join(kinds.get(told, f"{told}, on a virtual clock") for told in sorted(timings(runs)))
    models = ", ".join(sorted(runs["model"].dropna().unique()))
    parts = (f"{succeeded} of {len(runs)} runs succeeded", clocks, f"with {models}" if models else "")
    return ", ".join(part for part in parts if part) + "."


def _what(runs: pd.DataFrame) -> dict[str, Any]:
    columns = {
        "Levels": "level",
        "Cache states": "cache_state",
        "Clock": "clock",
        "Model": "model",
        "Profile": "profile",
        "Data": "data_name",
        "Data fingerprint": "data_fingerprint",
        "Work": "work_id",
        "Tool choice": "tool_choice",
        "Seeds": "seed",
        "Code version": "code_version",
    }
    pairs = [
        (heading, ", ".join(map(str, runs[name].dropna().unique()))) for heading, name in columns.items()
    ]
    # A virtual clock's date is always the same and tells nothing.
    started = runs.loc[runs["clock"] != "virtual", "started_at"].dropna()
    if len(started):
        pairs.append(("Started", f"{started.min():%Y-%m-%d %H:%M} to {started.max():%Y-%m-%d %H:%M} UTC"))
    return _pairs([pair for pair in pairs if pair[1]])


def _breakdown(breakdown: pd.DataFrame, of: str) -> dict[str, Any]:
    """Return a row a level and a column a category; exclusive time with its share of the duration."""
    spent = breakdown.groupby("category")[of].sum()
    categories = [name for name in CATEGORIES if spent.get(name, 0.0) > 0]
    rows, marks = [], []
    for (clock, model, _, cache, level), group in in_level_order(breakdown):
        parts = group.set_index("category")
        cells = {name: duration_text(parts[of][name]) for name in categories}
        if of == "exclusive_s":
            cells = {name: _with_share(text, parts["share"][name]) for name, text in cells.items()}
            cells["sum"] = duration_text(parts[of].sum(min_count=1))
        timed = {"Timing": timing(clock, model)} if is_simulated(breakdown) else {}
        rows.append({"Level": level, "Cache": cache, **timed, "Runs": parts["n"].iloc[0], **cells})
        marks.append("simulated" if clock == "virtual" else "")
    return _shown(pd.DataFrame(rows), pd.Series(marks, dtype="str"))


def _with_share(text: str, share: float) -> str:
    return text if pd.isna(share) else f"{text} ({share:.0%})"


def _alerts(comparison: pd.DataFrame) -> dict[str, Any]:
    alerted = comparison[comparison["alerts"].fillna("") != ""]
    return _shown(alerted[["level", "cache_state", "alerts"]])


def _every_run(runs: pd.DataFrame) -> dict[str, Any]:
    shown = pd.DataFrame(
        {
            "Run": runs["run_id"],
            "Level": runs["level"],
            "Cache": runs["cache_state"],
            "Status": runs["status"],
            "Duration, s": runs["duration_s"].map(duration_text),
            "Tokens": runs["total_tokens"].astype("str"),
            "Decisions": runs["decision_accuracy"].map("{:.2f}".format),
            "Other CPU": runs["other_cpu_share"].map("{:.0%}".format),
            "Alerts": runs["alerts"],
            "Error": runs["error"],
        }
    )
    if is_simulated(runs):
        labels = [timing(*row) for row in runs[["clock", "model", "profile"]].itertuples(index=False)]
        shown.insert(4, "Timing", labels)
    return _shown(shown, runs["status"])


def _study(study: SourceStudy | None) -> dict[str, Any] | None:
    if study is None:
        return None
    tables = {
        name: _shown(pd.DataFrame([part.model_dump() for part in parts]).dropna(axis="columns", how="all"))
        for name, parts in (("runs", study.runs), ("split", study.split), ("targets", study.targets))
    }
    return {**tables, "split_of": study.split_of, "caveats": study.caveats}


def _shown(frame: pd.DataFrame, marks: "pd.Series[str] | None" = None) -> dict[str, Any]:
    """Return headings and text cells for the template; missing is a hyphen."""
    cells = [
        ["-" if _missing(value) else str(value) for value in row] for row in frame.itertuples(index=False)
    ]
    kinds = [""] * len(cells) if marks is None else list(marks)
    rows = [{"cells": row, "mark": mark} for row, mark in zip(cells, kinds, strict=True)]
    return {"columns": [str(name).replace("_", " ") for name in frame.columns], "rows": rows}


def _missing(value: Any) -> bool:
    return bool(pd.isna(value)) or str(value) in ("", "nan", "nan%", "<NA>")


def _pairs(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    rows = [{"cells": [key, value], "mark": ""} for key, value in pairs]
    return {"columns": ["what", "value"], "rows": rows}


def _flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Return the leaves of nested JSON as (dotted path, text); a mapping of single values is one line."""
    if not isinstance(value, Mapping):
        return [(path, ", ".join(map(str, value)) if isinstance(value, list) else str(value))]
    simple = path and not any(isinstance(part, Mapping | list) for part in value.values())
    if simple and len(value) > 3:
        return [(path, ", ".join(f"{key} {part}" for key, part in value.items()))]
    return [
        line for key, part in value.items() for line in _flat(part, f"{path}.{key}" if path else str(key))
    ]


def _read_figure(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read the figure {path}: {error}") from error


def _figure(plot: str, svg: str) -> Markup:
    """Return a plot's SVG for inlining, with its ids made its own, for one page holds several."""
    bare = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    unique = _REFERENCE.sub(rf"\g<1>{plot}-", _ID.sub(rf"\g<1>{plot}-", bare))
    # matplotlib escapes the text it draws; the caption is escaped by Markup's formatting.
    return Markup('<figure id="figure-{}">{}<figcaption>{}</figcaption></figure>').format(
        plot, Markup(unique), _CAPTIONS.get(plot, "")
    )
