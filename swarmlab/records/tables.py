"""Every table as a function from what is on disk to a frame. `TABLES` is the registry."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from swarmlab.records.comparison import comparison, study_frame, study_split_frame
from swarmlab.records.design import Design, design_frame
from swarmlab.records.ledger import ledger_frame
from swarmlab.records.published import SourceStudy
from swarmlab.records.record import NS_PER_S, Record, column_kinds
from swarmlab.records.steps import steps_frame
from swarmlab.records.store import StoredRun
from swarmlab.trace.attribution import attribute
from swarmlab.trace.critical_path import critical_path
from swarmlab.trace.spans import CATEGORIES, Span

__all__ = [
    "SPAN_COLUMNS",
    "TABLES",
    "Tables",
    "bottlenecks_frame",
    "breakdown_frame",
    "build_tables",
    "derive_tables",
    "runs_frame",
    "spans_frame",
    "spans_of",
    "typed_runs",
    "typed_spans",
]

Tables = Mapping[str, pd.DataFrame]
"""Tables by name. `runs`, `spans`, `design`, `study` and `study_split` come from disk; the rest from them."""

SPAN_COLUMNS = (
    "run_id",
    "span_id",
    "parent_id",
    "links",
    "category",
    "name",
    "agent",
    "start_ns",
    "end_ns",
    "cached",
    "attempt",
    "status",
    "key",
    "reads",
    "tokens",
    "repeated_tokens",
)

_DTYPES = {"integer": "Int64", "number": "float64", "datetime": "datetime64[us, UTC]", "text": "str"}
_JOINED = {"alerts": "; ", "lossy_switches": ", "}


def runs_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row a run, failed ones too, in the order given.

    Returns
    -------
    DataFrame
        The fields of `Record` as columns, in their order; what was not measured is missing.
    """
    rows = [record.model_dump() for record in records]
    for row in rows:
        row.update({name: separator.join(row[name]) for name, separator in _JOINED.items()})
    kinds = column_kinds()
    return typed_runs(pd.DataFrame(rows, columns=list(kinds)))


def typed_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the `runs` table with each column's own type, whatever it was read from."""
    return frame.astype({name: _DTYPES[kind] for name, kind in column_kinds().items()})


def spans_frame(runs: Iterable[StoredRun]) -> pd.DataFrame:
    """Return one row a span, run by run in the order given.

    Returns
    -------
    DataFrame
        `SPAN_COLUMNS`; times in integer nanoseconds of the run's clock, `links` a tuple of span ids.
    """
    rows = [
        (run.record.run_id, *(getattr(span, name) for name in SPAN_COLUMNS[1:]))
        for run in runs
        for span in run.spans
    ]
    return typed_spans(pd.DataFrame(rows, columns=list(SPAN_COLUMNS)))


def typed_spans(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the `spans` table with each column's own type, whatever it was read from."""
    text = dict.fromkeys(
        ("run_id", "span_id", "parent_id", "category", "name", "agent", "status", "key"), "str"
    )
    numbers = {"start_ns": "int64", "end_ns": "int64", "attempt": "int64", "cached": "bool"}
    counts = {"tokens": "Int64", "repeated_tokens": "Int64"}
    # A missing list comes back from Parquet as None or, in a table of before it was recorded, as NaN.
    reads = [None if value is None or isinstance(value, float) else tuple(value) for value in frame["reads"]]
    lists = {"links": frame["links"].map(tuple), "reads": pd.Series(reads, frame.index, dtype="object")}
    return frame.assign(**lists).astype({**text, **numbers, **counts})


def spans_of(spans: pd.DataFrame, run_id: str) -> list[Span]:
    """Return the spans of one run from the `spans` table; empty when it has none."""
    rows = spans.loc[spans["run_id"] == run_id, list(SPAN_COLUMNS[1:])].to_dict("records")
    return [_span(row) for row in rows]


def bottlenecks_frame(runs: pd.DataFrame, spans: pd.DataFrame) -> pd.DataFrame:
    """Return where each run's time went: ten rows a run, one a category, zeros kept.

    Parameters
    ----------
    runs, spans
        The tables of those names.

    Returns
    -------
    DataFrame
        run_id, level, category; exclusive_s, which sums to the run's duration_s to the nanosecond; share of
        the duration; critical_path_s; busy_s, which may exceed the duration; exclusive_ns, the exact integer;
        clock; model. A run without spans keeps its rows, with the figures missing.

    Raises
    ------
    TraceError
        A run's spans are malformed.
    """
    rows: list[dict[str, Any]] = []
    of_run = ["run_id", "level", "clock", "model"]
    for run in runs[of_run].to_dict("records"):
        figures = _time_by_category(spans_of(spans, run["run_id"]))
        own = {str(name): value for name, value in run.items()}
        rows.extend({**own, **figures[category]} for category in CATEGORIES)
    figures_dtypes = dict.fromkeys(("exclusive_s", "share", "critical_path_s", "busy_s"), "float64")
    dtypes = {
        **dict.fromkeys(("run_id", "level", "category"), "str"),
        **figures_dtypes,
        "exclusive_ns": "Int64",
        **dict.fromkeys(("clock", "model"), "str"),
    }
    return pd.DataFrame(rows, columns=list(dtypes)).astype(dtypes)


def breakdown_frame(runs: pd.DataFrame, bottlenecks: pd.DataFrame) -> pd.DataFrame:
    """Return where each level's time went on average: ten rows a level, cache state and model.

    Parameters
    ----------
    runs, bottlenecks
        The tables of those names; only runs that succeeded count. A level without one has missing figures.

    Returns
    -------
    DataFrame
        clock, model, data_name, cache_state, level, category, n (runs); exclusive_s, critical_path_s and
        busy_s, means over the runs, so that exclusive_s adds up to the mean duration; share of that duration.
    """
    keys = ["clock", "model", "data_name", "cache_state", "level"]
    # A run that failed keeps its level in the table; its figures, of a part of the work, do not count.
    own = bottlenecks.drop(columns=[name for name in keys if name in bottlenecks])
    joined = own.merge(runs[["run_id", "status", *keys]], on="run_id")
    succeeded = joined["status"] == "ok"
    figures = ["exclusive_s", "critical_path_s", "busy_s"]
    joined[figures] = joined[figures].where(succeeded)
    joined["category"] = pd.Categorical(joined["category"], categories=CATEGORIES)
    groups = joined.assign(n=succeeded).groupby([*keys, "category"], observed=True, dropna=False, sort=True)
    frame = groups.agg({"n": "sum", **dict.fromkeys(figures, "mean")}).reset_index()
    totals = frame.groupby(keys, dropna=False)["exclusive_s"].transform("sum", min_count=1)
    return frame.assign(category=frame["category"].astype("str"), share=frame["exclusive_s"] / totals)


def build_tables(
    runs: Sequence[StoredRun], study: SourceStudy | None = None, design: Design | None = None
) -> dict[str, pd.DataFrame]:
    """Make every table of an experiment.

    Parameters
    ----------
    runs
        The runs as read from disk.
    study
        The published study; its rows stand beside ours, marked. None leaves them out.
    design
        The design of an ablation; None for an experiment that is none.

    Returns
    -------
    dict
        `runs`, `spans`, `design`, `study`, `study_split`, and each of `TABLES` by its name.
    """
    return derive_tables(runs_frame(run.record for run in runs), spans_frame(runs), study, design)


def derive_tables(
    runs: pd.DataFrame,
    spans: pd.DataFrame,
    study: SourceStudy | None = None,
    design: Design | None = None,
) -> dict[str, pd.DataFrame]:
    """Make every other table from `runs` and `spans`; arguments and result as of `build_tables`."""
    tables = {
        "runs": runs,
        "spans": spans,
        "design": design_frame(design),
        "study": study_frame(study),
        "study_split": study_split_frame(study),
    }
    for name, make in TABLES.items():
        tables[name] = make(tables)
    return tables


def _time_by_category(spans: Sequence[Span]) -> dict[str, dict[str, Any]]:
    if not spans:
        return {category: {"category": category} for category in CATEGORIES}
    attribution = attribute(spans)
    critical = dict.fromkeys(CATEGORIES, 0)
    for segment in critical_path(spans):
        critical[segment.category] += segment.end_ns - segment.start_ns
    figures = {}
    for category in CATEGORIES:
        exclusive_ns = attribution.exclusive_by_category.get(category, 0)
        figures[category] = {
            "category": category,
            "exclusive_s": exclusive_ns / NS_PER_S,
            "share": exclusive_ns / attribution.wall_ns if attribution.wall_ns else 0.0,
            "critical_path_s": critical[category] / NS_PER_S,
            "busy_s": attribution.busy_by_category.get(category, 0) / NS_PER_S,
            "exclusive_ns": exclusive_ns,
        }
    return figures


def _span(row: Mapping[Any, Any]) -> Span:
    values = {str(name): value for name, value in row.items()}
    optional = ("parent_id", "agent", "key", "tokens", "repeated_tokens")
    missing_to_none = {name: None if pd.isna(values[name]) else values[name] for name in optional}
    return Span(**{**values, **missing_to_none})


# A table made from others: a function from tables to a frame, and one line here.
TABLES: dict[str, Callable[[Tables], pd.DataFrame]] = {
    "bottlenecks": lambda tables: bottlenecks_frame(tables["runs"], tables["spans"]),
    "breakdown": lambda tables: breakdown_frame(tables["runs"], tables["bottlenecks"]),
    "comparison": lambda tables: comparison(tables["runs"], tables["study"]),
    "steps": lambda tables: steps_frame(
        tables["runs"], {run_id: spans_of(tables["spans"], run_id) for run_id in tables["runs"]["run_id"]}
    ),
    "ledger": lambda tables: ledger_frame(tables["runs"], tables["design"]),
}
