"""What is no trace is refused, and the span at fault is named."""

import pytest
from hypothesis import given
from trace_cases import make, root, traces

from swarmlab.errors import TraceError
from swarmlab.trace.attribution import attribute
from swarmlab.trace.check import check_spans
from swarmlab.trace.critical_path import critical_path
from swarmlab.trace.summary import bottlenecks

BAD = {
    "empty": ([], "no spans"),
    "no root": (
        [make("a", "b", 0, 1), make("b", "a", 0, 1)],
        "'[ab]' is its own ancestor: [ab] → [ab] → [ab]",
    ),
    "two roots": ([root(5), make("q", None, 0, 1)], "2 roots, 'r' and 'q'"),
    "unknown parent": ([root(5), make("a", "nobody", 0, 1)], "'a' has the unknown parent 'nobody'"),
    "end before start": ([root(5), make("a", "r", 3, 2)], "'a' ends at 2 ns, before its start at 3 ns"),
    "unknown category": (
        [root(5), make("a", "r", 0, 1, category="magic")],
        "'a' has the unknown category 'magic'",
    ),
    "duplicate id": ([root(5), make("a", "r", 0, 1), make("a", "r", 1, 2)], "'a' appears twice"),
    "link to itself": ([root(5), make("a", "r", 0, 1, links=("a",))], "'a' waits for itself .*: a → a"),
    "cycle in links": (
        [
            root(5),
            make("a", "r", 0, 1, links=("b",)),
            make("b", "r", 0, 1, links=("c",)),
            make("c", "r", 0, 1, links=("a",)),
        ],
        "'a' waits for itself through links: a → b → c → a",
    ),
    "cycle in parents": ([root(5), make("a", "b", 0, 1), make("b", "a", 0, 1)], "is its own ancestor"),
    "own parent": ([root(5), make("a", "a", 0, 1)], "'a' is its own ancestor: a → a"),
}


@pytest.mark.parametrize(("spans", "message"), BAD.values(), ids=BAD.keys())
def test_refused(spans, message):
    """Every account refuses the set of spans with an error that names the span at fault."""
    for account in (check_spans, attribute, critical_path, bottlenecks):
        with pytest.raises(TraceError, match=message):
            account(spans)


@given(traces())
def test_odd_traces_are_traces(spans):
    """Overlap, zero length, lost links and spans that stick out are no error."""
    check_spans(spans)


def test_long_chains_need_no_recursion():
    """Chains of ten thousand parents and of ten thousand links are checked."""
    spans = [root(1)]
    for number in range(10_000):
        links = (f"s{number + 1}",) if number < 9_999 else ()
        spans.append(make(f"s{number}", spans[-1].span_id, 0, 1, links=links))
    check_spans(spans)
    with pytest.raises(TraceError, match="waits for itself"):
        check_spans([*spans[:-1], make("s9999", "r", 0, 1, links=("s0",))])
