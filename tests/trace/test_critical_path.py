"""The critical path tiles the root's interval for any trace, and barriers are what the replay removes."""

from hypothesis import given, settings
from hypothesis import strategies as st
from trace_cases import make, root, traces

from swarmlab.trace.barriers import barrier_waits, wall_without_barriers_ns
from swarmlab.trace.critical_path import Segment, critical_path
from swarmlab.trace.tree import span_tree


@settings(max_examples=250, deadline=None)
@given(traces())
def test_tiles_the_root(spans):
    """Segments follow each other without gap or overlap from the root's start to its end; none is empty."""
    top = next(span for span in spans if span.parent_id is None)
    reached = top.start_ns
    for segment in critical_path(spans):
        assert segment.start_ns == reached < segment.end_ns
        reached = segment.end_ns
    assert reached == top.end_ns


@given(traces())
def test_segments_lie_inside_their_spans(spans):
    """A segment that names a span lies inside it and carries its category."""
    by_id = {span.span_id: span for span in spans}
    for segment in critical_path(spans):
        if segment.span_id is not None:
            span = by_id[segment.span_id]
            assert span.start_ns <= segment.start_ns < segment.end_ns <= span.end_ns
            assert segment.category == span.category


@given(traces(), st.randoms())
def test_order_of_input_is_nothing(spans, dice):
    """The same spans in another order have the same path."""
    shuffled = list(spans)
    dice.shuffle(shuffled)
    assert critical_path(shuffled) == critical_path(spans)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 3))
def test_chain_is_its_own_path(lengths, gap_ns):
    """For spans one after the other the path is the spans and the framework's gaps between them."""
    spans, now_ns = [], 0
    for number, length in enumerate(lengths):
        links = (f"s{number - 1}",) if number else ()
        spans.append(make(f"s{number}", "r", now_ns, now_ns + length, links=links))
        now_ns += length + gap_ns
    path = critical_path([root(now_ns), *spans])
    assert [s.span_id for s in path if s.span_id] == [s.span_id for s in spans]
    assert sum(s.duration_ns for s in path if s.category == "framework") == gap_ns * len(lengths)


def test_what_was_over_before_the_parent_started_held_nobody():
    """A child's link that was done before its parent began leads to the parent's start and on from there."""
    spans = [
        root(9),
        make("a", "r", 0, 2),
        make("x", "r", 0, 5),
        make("b", "r", 5, 9, category="coordination", links=("a",)),
        make("b1", "b", 6, 9, category="result", links=("a",)),
    ]
    assert critical_path(spans) == [
        Segment("a", "tool", 0, 2),
        Segment(None, "barrier", 2, 5),
        Segment("b", "coordination", 5, 6),
        Segment("b1", "result", 6, 9),
    ]


def test_deep_nesting_needs_no_recursion():
    """Ten thousand levels of nesting are walked to the innermost span."""
    spans = [root(20_001)]
    for level in range(10_000):
        spans.append(make(f"s{level}", spans[-1].span_id, level, 20_001 - level))
    path = critical_path(spans)
    assert path[-1].span_id == "s0"
    assert Segment("s9999", "tool", 9999, 10_002) in path


@settings(max_examples=250, deadline=None)
@given(traces())
def test_removing_barriers_never_costs(spans):
    """Without barriers the run is no longer than it was, and exactly as long where nobody was held."""
    tree = span_tree(spans)
    waits = barrier_waits(tree)
    without_ns = wall_without_barriers_ns(tree, waits)
    assert 0 <= without_ns <= tree.wall_ns
    assert all(wait > 0 for wait in waits.values())
    assert wall_without_barriers_ns(tree, {}) == tree.wall_ns


@given(traces())
def test_a_wait_lies_between_ready_and_start(spans):
    """No span is held for longer than from the end of all it waited for to its own start."""
    tree = span_tree(spans)
    for span_id, held_ns in barrier_waits(tree).items():
        span = tree.by_id[span_id]
        ready_ns = max(tree.by_id[link].end_ns for link in span.links if link in tree.by_id)
        assert held_ns <= span.start_ns - ready_ns
