"""Exclusive time: exact sums, the leaf rule word for word, and indifference to order."""

import random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_cases import attribute_slowly, make, root, traces

from swarmlab.trace.attribution import attribute
from swarmlab.trace.wavelet import WaveletMatrix


@settings(max_examples=250, deadline=None)
@given(traces())
def test_equals_the_leaf_rule(spans):
    """The swift account equals the rule applied to every interval and span, for any trace."""
    assert attribute(spans).exclusive_by_span == attribute_slowly(spans)


@given(traces())
def test_sums_to_the_wall_time(spans):
    """Spans and categories both sum to the root's wall time with residual 0."""
    account = attribute(spans)
    top = next(span for span in spans if span.parent_id is None)
    assert account.wall_ns == top.end_ns - top.start_ns
    assert sum(account.exclusive_by_span.values()) == account.wall_ns
    assert sum(account.exclusive_by_category.values()) == account.wall_ns


@given(traces(), st.integers(-(10**18), 10**18))
def test_origin_of_time_is_arbitrary(spans, shift_ns):
    """Moving all times by a constant changes no share."""
    moved = [
        make(s.span_id, s.parent_id, s.start_ns + shift_ns, s.end_ns + shift_ns, category=s.category)
        for s in spans
    ]
    assert attribute(moved).exclusive_by_span == attribute(spans).exclusive_by_span


def test_remainder_goes_to_the_first_in_order():
    """Eleven nanoseconds among three leaves are 4, 4 and 3 in (start_ns, span_id) order."""
    spans = [make("b", "r", 0, 11), make("c", "r", 0, 11), root(11), make("a", "r", 0, 11)]
    assert attribute(spans).exclusive_by_span == {"r": 0, "a": 4, "b": 4, "c": 3}


def test_busy_time_leaves_the_root_out():
    """Busy time sums durations beyond the wall time and does not count the root."""
    account = attribute([root(10), make("a", "r", 0, 10), make("b", "r", 0, 10)])
    assert account.busy_by_category == {"tool": 20}
    assert account.max_concurrency == 2


def test_thousands_of_concurrent_spans():
    """Five thousand spans, most of them concurrent or deeply nested, leave no residual and obey the rule."""
    dice = random.Random(3)
    spans = [root(10**6)]
    for number in range(5000):
        parent = spans[-1] if number % 3 else dice.choice(spans)
        since = dice.randrange(10**6)
        spans.append(make(f"s{number}", parent.span_id, since, since + dice.randrange(10**6)))
    account = attribute(spans)
    assert sum(account.exclusive_by_span.values()) == account.wall_ns == 10**6
    assert account.max_concurrency > 500


def test_medium_traces_equal_the_leaf_rule():
    """At a few hundred spans, with every remainder in play, the account still equals the slow one."""
    dice = random.Random(5)
    for _ in range(5):
        spans = [root(997)]
        for number in range(200):
            since = dice.randrange(997)
            spans.append(make(f"s{number}", dice.choice(spans).span_id, since, since + dice.randrange(500)))
        assert attribute(spans).exclusive_by_span == attribute_slowly(spans)


@given(st.lists(st.integers(0, 7), max_size=20), st.data())
def test_wavelet_counts(values, data):
    """The wavelet matrix counts values at or above a bound in any range as a loop would."""
    low = data.draw(st.integers(0, len(values)))
    high = data.draw(st.integers(low, len(values)))
    bound = data.draw(st.integers(0, 7))
    matrix = WaveletMatrix(np.array(values, dtype=np.int64), 3)
    counts = matrix.count_at_least(np.array([bound]), np.array([low]), np.array([high]))
    assert counts.tolist() == [sum(value >= bound for value in values[low:high])]
