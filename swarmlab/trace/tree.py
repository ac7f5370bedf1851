"""The spans of one trace as a checked tree: what every account of its time starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from swarmlab.trace.check import check_spans
from swarmlab.trace.spans import Span


@dataclass(frozen=True, slots=True)
class SpanTree:
    """A checked trace; build it with `span_tree`."""

    spans: tuple[Span, ...]
    """All spans in (start_ns, span_id) order."""
    root: Span
    by_id: Mapping[str, Span]
    children: Mapping[str, Sequence[Span]]
    """Children by parent id in (start_ns, span_id) order; spans without children are not keys."""

    @property
    def wall_ns(self) -> int:
        """The root's duration in nanoseconds."""
        return self.root.duration_ns


def span_tree(spans: Sequence[Span]) -> SpanTree:
    """Check `spans`, in any order, and index them.

    Raises
    ------
    TraceError
        As `check_spans`.
    """
    check_spans(spans)
    ordered = tuple(sorted(spans, key=lambda span: (span.start_ns, span.span_id)))
    children: dict[str, list[Span]] = {}
    for span in ordered:
        if span.parent_id is None:
            root = span
        else:
            children.setdefault(span.parent_id, []).append(span)
    return SpanTree(ordered, root, {span.span_id: span for span in ordered}, children)
