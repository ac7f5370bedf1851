"""The five suspects: each found where it is planted, and not measured where the trace is silent."""

from hypothesis import given
from trace_cases import make, root, traces

from swarmlab.trace.tree import span_tree
from swarmlab.trace.waste import waste_of, waste_rows


def found(spans):
    """Seconds in nanoseconds, tokens and calls of each suspect, by name."""
    return {w.name: (w.time_ns, w.tokens, w.n) for w in waste_of(span_tree(spans))}


def test_tools_in_a_row_that_read_nothing_waited_for_each_other():
    """All but the longest call could have gone; where one reads the other, nothing could."""
    row = [root(60), make("a", "r", 0, 20, reads=()), make("b", "r", 20, 60, links=("a",), reads=())]
    assert found(row)["serial_tools"] == (20, None, 2)
    needed = [root(60), make("a", "r", 0, 20, reads=()), make("b", "r", 20, 60, links=("a",), reads=("a",))]
    assert found(needed)["serial_tools"] == (0, None, 0)
    beside = [root(40), make("a", "r", 0, 20, reads=()), make("b", "r", 0, 40, reads=())]
    assert found(beside)["serial_tools"] == (0, None, 2)


def test_the_same_work_done_again_is_repeated():
    """The second run of one key counts; a hit, a failure and another key do not."""
    spans = [
        root(50),
        make("a", "r", 0, 10, name="t", key="k"),
        make("b", "r", 10, 20, name="t", key="k"),
        make("c", "r", 20, 30, name="t", key="k", cached=True),
        make("d", "r", 30, 40, name="t", key="other"),
        make("e", "r", 40, 50, name="t", key="other", status="error"),
    ]
    assert found(spans)["repeated_tools"] == (10, None, 1)


def test_tokens_prefilled_again_take_their_share_of_the_prefill():
    """Thirty of a hundred tokens are three tenths of the time."""
    prefill = {"category": "model_prefill", "tokens": 100}
    spans = [
        root(300),
        make("a", "r", 0, 100, **prefill, repeated_tokens=0),
        make("b", "r", 100, 300, **prefill, repeated_tokens=30),
    ]
    assert found(spans)["repeated_prefill"] == (60, 30, 1)


def test_a_held_agent_waited_at_a_barrier():
    """The wait counts once, for the span that was held."""
    spans = [root(30), make("a", "r", 0, 10), make("b", "r", 0, 20), make("c", "r", 20, 30, links=("a",))]
    assert found(spans)["barrier_waits"] == (10, None, 1)


def test_what_nothing_reads_is_unread():
    """A tool and a model call that no span took in, with the tokens that the call wrote."""
    spans = [
        root(100),
        make("used", "r", 0, 10, reads=()),
        make("idle", "r", 10, 30, reads=()),
        make("m", "r", 30, 80, category="framework", reads=("used",)),
        make("p", "m", 30, 50, category="model_prefill", tokens=20),
        make("d", "m", 50, 80, category="model_decode", tokens=7),
        make("end", "r", 80, 100, category="result"),
    ]
    assert found(spans)["unread_output"] == (70, 7, 2)


def test_a_silent_trace_is_not_measured():
    """Without keys, repeated tokens or reads there is no figure, not a zero."""
    rows = waste_rows(waste_of(span_tree([root(10), make("a", "r", 0, 10)])))
    measured = {name: row["seconds"] for name, row in rows.items()}
    assert measured == {
        "serial_tools": 0.0,
        "repeated_tools": None,
        "repeated_prefill": None,
        "barrier_waits": 0.0,
        "unread_output": None,
    }


@given(traces())
def test_no_suspect_takes_less_than_no_time(spans):
    """Whatever the trace, there are five rows, and none is negative."""
    rows = waste_of(span_tree(spans))
    assert len(rows) == 5
    assert all(row.time_ns is None or row.time_ns >= 0 for row in rows)
