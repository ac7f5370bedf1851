"""Steps: what the time was for."""

from swarmlab.records.steps import exclusive_by_step
from swarmlab.trace.spans import Span


def span(span_id, parent, category, name, start, end):
    return Span(span_id, parent, (), category, name, "a", start, end)


def test_model_time_goes_to_the_purpose_of_its_call() -> None:
    """Prefill and decode count for the call they are in, all else for its own category."""
    spans = [
        span("r", None, "framework", "run", 0, 100),
        span("a", "r", "coordination", "analyst", 0, 90),
        span("t", "a", "tool", "kpis", 5, 25),
        span("c", "a", "context", "build view", 25, 50),
        span("m", "c", "framework", "model call: summarise data", 30, 50),
        span("p", "m", "model_prefill", "prefill", 31, 45),
        span("d", "a", "framework", "model call: decide q01", 50, 80),
        span("e", "d", "model_decode", "decode", 50, 70),
    ]
    assert exclusive_by_step(spans) == {
        "decide": 30,
        "summarise": 20,
        "tool": 20,
        "coordination": 15,
        "framework": 10,
        "context": 5,
    }
