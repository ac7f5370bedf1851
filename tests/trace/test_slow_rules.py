"""The swift accounts against the conformance definitions done slowly and word for word, on any trace."""

import random

from hypothesis import given, settings
from slow_rules import (
    SlowPath,
    attribute_slowly,
    barrier_waits_slowly,
    concurrency_slowly,
    without_barriers_slowly,
)
from trace_cases import make, root, traces

from swarmlab.trace.barriers import barrier_waits, wall_without_barriers_ns
from swarmlab.trace.concurrency import concurrency
from swarmlab.trace.critical_path import critical_path
from swarmlab.trace.leaves import leaves_of
from swarmlab.trace.summary import bottlenecks
from swarmlab.trace.tree import span_tree


@settings(max_examples=400, deadline=None)
@given(traces())
def test_the_critical_path_is_the_definitions(spans):
    """Segment by segment, whatever sticks out, lasts no time or links where it cannot have waited."""
    found = [(s.span_id, s.category, s.start_ns, s.end_ns) for s in critical_path(spans)]
    assert found == SlowPath(spans).segments()


@settings(max_examples=200, deadline=None)
@given(traces())
def test_barrier_waits_are_the_definitions(spans):
    """Who was held and for how long, and the run's length without it."""
    tree = span_tree(spans)
    waits = barrier_waits(tree)
    assert waits == barrier_waits_slowly(spans)
    assert wall_without_barriers_ns(tree, waits) == without_barriers_slowly(spans, waits)


@given(traces())
def test_concurrency_over_time_is_the_leaves_at_each_instant(spans):
    """The step function has the slow count in every elementary interval, and their mean and maximum."""
    tree = span_tree(spans)
    found = concurrency(tree, leaves_of(tree))
    slow = concurrency_slowly(spans)
    origin = tree.root.start_ns
    for low, _, count in slow:
        assert [leaves for time_ns, leaves in found.steps if time_ns <= low - origin][-1] == count
    assert found.maximum == max((count for *_, count in slow), default=0)
    total = sum((high - low) * count for low, high, count in slow)
    assert found.mean == (total / tree.wall_ns if tree.wall_ns else 0.0)


@given(traces())
def test_figures_by_name_add_up_to_those_of_the_trace(spans):
    """Exclusive time by category and by span sums to the wall; order of the spans changes nothing."""
    found = bottlenecks(spans)
    for key in ("by_category", "by_span"):
        total = sum(round(row["exclusive_s"] * 1e9) for row in found[key].values())
        assert total == found["wall_ns"]
    path = sum(round(row["critical_path_s"] * 1e9) for row in found["by_category"].values())
    assert path == found["wall_ns"]
    assert found == bottlenecks(sorted(spans, key=lambda span: span.span_id))
    assert found["by_span"].keys() == {span.span_id for span in spans}


def test_hundreds_of_spans_of_a_long_past_are_right():
    """At today's nanoseconds since 1970 and with hundreds of spans, leaf rule and path still agree."""
    dice = random.Random(7)
    origin = 1_790_000_000_000_000_000
    for _ in range(3):
        spans = [root(origin + 5_000, origin)]
        for number in range(150):
            since = origin + dice.randrange(5_000)
            links = tuple({dice.choice(spans).span_id for _ in range(dice.randrange(3))} - {"r"})
            parent = dice.choice(spans[-20:]).span_id
            spans.append(make(f"s{number}", parent, since, since + dice.randrange(900), links=links))
        assert bottlenecks(spans)["exclusive_by_span_s"].keys() >= {s.span_id for s in spans[1:]}
        exclusive = {k: round(v * 1e9) for k, v in bottlenecks(spans)["exclusive_by_span_s"].items()}
        slow = attribute_slowly(spans)
        assert all(slow[span_id] == time_ns for span_id, time_ns in exclusive.items())
        found = [(s.span_id, s.category, s.start_ns, s.end_ns) for s in critical_path(spans)]
        assert found == SlowPath(spans).segments()
