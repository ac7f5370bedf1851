"""What the time was for: exclusive seconds by step of the work, model calls by their purpose.

Categories say what the machine did (prefill, decode); steps say why (draft, decide, summarise). A
blackboard's summaries are context management, although nearly all of their time is the model's.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from swarmlab.records.record import NS_PER_S
from swarmlab.trace.attribution import attribute
from swarmlab.trace.spans import Span

__all__ = ["MODEL_CALL", "exclusive_by_step", "steps_frame"]

MODEL_CALL = "model call: "
"""Name of a model call's span, before its purpose; what lies in the call belongs to that purpose."""


def exclusive_by_step(spans: Sequence[Span]) -> dict[str, int]:
    """Return exclusive nanoseconds by step, largest first; they sum to the wall time exactly.

    A step is the first word of the purpose for whatever lies in a model call, the category for all else.

    Raises
    ------
    TraceError
        The spans are not one trace.
    """
    by_id = {span.span_id: span for span in spans}
    steps: Counter[str] = Counter()
    for span_id, exclusive_ns in attribute(spans).exclusive_by_span.items():
        steps[_step(by_id[span_id], by_id)] += exclusive_ns
    return dict(steps.most_common())


def steps_frame(runs: pd.DataFrame, spans_by_run: Mapping[str, Sequence[Span]]) -> pd.DataFrame:
    """Return what each level's time was for, on average over its runs that succeeded.

    Returns
    -------
    DataFrame
        level, cache_state, step, n (runs), exclusive_s (mean, zero where a run had none), share; clock and
        model, of which runs are never averaged together.
    """
    keys = ["level", "cache_state", "clock", "model"]
    rows = [
        {**{key: run[key] for key in (*keys, "run_id")}, "step": step, "ns": ns}
        for run in runs[runs["status"] == "ok"].to_dict("records")
        for step, ns in exclusive_by_step(spans_by_run[run["run_id"]]).items()
    ]
    frame = pd.DataFrame(rows, columns=[*keys, "run_id", "step", "ns"])
    counts = frame.groupby(keys)["run_id"].nunique().rename("n")
    sums = frame.groupby([*keys, "step"], as_index=False)["ns"].sum().merge(counts, on=keys)
    sums["exclusive_s"] = sums["ns"] / sums["n"] / NS_PER_S
    sums["share"] = sums["ns"] / sums.groupby(keys)["ns"].transform("sum")
    order = ["level", "cache_state", "step", "n", "exclusive_s", "share", "clock", "model"]
    steps: pd.DataFrame = sums[order]
    return steps


def _step(span: Span, by_id: Mapping[str, Span]) -> str:
    above: Span | None = span
    while above is not None:
        if above.name.startswith(MODEL_CALL):
            return above.name.removeprefix(MODEL_CALL).partition(" ")[0]
        above = by_id.get(above.parent_id) if above.parent_id is not None else None
    return span.category
