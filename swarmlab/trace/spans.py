"""The span: one piece of a run with a category, a start, an end, a parent and what it waited for."""

from dataclasses import dataclass

CATEGORIES = (
    "tool",
    "model_queue",
    "model_prefill",
    "model_decode",
    "context",
    "coordination",
    "barrier",
    "result",
    "framework",
    "idle",
)


@dataclass(frozen=True, slots=True)
class Span:
    """A finished span; its fields are the columns of `spans.parquet`, bar the run's id.

    Times are integer nanoseconds of the run's clock; `start_ns` belongs to the span and `end_ns` does not.
    """

    span_id: str
    parent_id: str | None
    links: tuple[str, ...]
    """Ids of the spans that this one waited for before it could start."""
    category: str
    """One of `CATEGORIES`."""
    name: str
    agent: str | None
    start_ns: int
    end_ns: int
    cached: bool = False
    attempt: int = 1
    """1 for the first try; each retry is a span of its own."""
    status: str = "ok"

    @property
    def duration_ns(self) -> int:
        """Length of the span in nanoseconds."""
        return self.end_ns - self.start_ns
