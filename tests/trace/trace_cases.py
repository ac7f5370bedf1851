"""Traces for this room's tests: a short way to write them, random ones, and the leaf rule done slowly."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from swarmlab.trace.spans import CATEGORIES, Span


def make(span_id, parent_id, start_ns, end_ns, **fields):
    """A span with a tool's category and no links unless `fields` say otherwise."""
    defaults = {"links": (), "category": "tool", "name": span_id, "agent": None}
    return Span(span_id, parent_id, start_ns=start_ns, end_ns=end_ns, **(defaults | fields))


def root(end_ns, start_ns=0):
    """A run from `start_ns` to `end_ns`."""
    return make("r", None, start_ns, end_ns, category="framework", name="run")


@st.composite
def traces(draw, max_spans=12, latest_ns=30):
    """Any trace: overlapping, nested, zero-length, sticking out of parent and root, linked and unordered."""
    start_ns = draw(st.integers(-5, 5))
    spans = [root(start_ns + draw(st.integers(0, latest_ns)), start_ns)]
    for number in range(draw(st.integers(0, max_spans))):
        since = draw(st.integers(-8, latest_ns + 8))
        earlier = [span.span_id for span in spans]
        # Links to earlier-made spans cannot form a cycle, but their times may be in any order.
        links = draw(st.lists(st.sampled_from([*earlier[1:], "lost"]), max_size=3, unique=True))
        spans.append(
            make(
                f"s{number}",
                draw(st.sampled_from(earlier)),
                since,
                since + draw(st.integers(0, latest_ns)),
                category=draw(st.sampled_from(CATEGORIES)),
                agent=draw(st.sampled_from([None, "a", "b"])),
                links=tuple(links),
            )
        )
    return draw(st.permutations(spans))


def attribute_slowly(spans):
    """The leaf rule word for word: every elementary interval against every span."""
    top = next(span for span in spans if span.parent_id is None)
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
    since = {s.span_id: min(max(s.start_ns, top.start_ns), top.end_ns) for s in ordered}
    until = {s.span_id: min(max(s.end_ns, top.start_ns), top.end_ns) for s in ordered}
    times = sorted({*since.values(), *until.values()})
    shares = dict.fromkeys(since, 0)
    for low, high in pairwise(times):
        active = [s for s in ordered if since[s.span_id] <= low and until[s.span_id] >= high]
        parents = {s.parent_id for s in active}
        leaves = [s for s in active if s.span_id not in parents]
        quotient, remainder = divmod(high - low, len(leaves))
        for rank, leaf in enumerate(leaves):
            shares[leaf.span_id] += quotient + (rank < remainder)
    return shares


def agrees(found: Any, expected: Any) -> bool:
    """Whether `found` is `expected`, with numbers equal to the nanosecond and no key more or less."""
    if isinstance(expected, Mapping):
        same_keys = isinstance(found, Mapping) and found.keys() == expected.keys()
        return same_keys and all(agrees(found[key], expected[key]) for key in expected)
    if isinstance(expected, float):
        return abs(found - expected) < 1e-9
    return found == expected
