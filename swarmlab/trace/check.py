"""Says whether a set of spans is a trace: one tree, known categories, time that runs forwards, no cycles."""

from collections.abc import Mapping, Sequence

from swarmlab.errors import TraceError
from swarmlab.trace.spans import CATEGORIES, Span


def check_spans(spans: Sequence[Span]) -> None:
    """Raise unless `spans` form one trace; their order does not matter.

    Allowed are spans that overlap, that stick out of their parent or root, or last no time, and links to
    spans that are not in the trace (lost with a crashed worker, say), which the accounts ignore.

    Raises
    ------
    TraceError
        Naming the span: no spans, a duplicate id, an unknown category, an end before its start, an unknown
        parent, a cycle of parents, no root or several, a cycle of links.
    """
    if not spans:
        raise TraceError("the trace has no spans")
    by_id: dict[str, Span] = {}
    for span in spans:
        if span.span_id in by_id:
            raise TraceError(f"span {span.span_id!r} appears twice; ids must be unique in a trace")
        if span.category not in CATEGORIES:
            known = ", ".join(CATEGORIES)
            raise TraceError(
                f"span {span.span_id!r} has the unknown category {span.category!r}; known: {known}"
            )
        if span.end_ns < span.start_ns:
            raise TraceError(
                f"span {span.span_id!r} ends at {span.end_ns} ns, before its start at {span.start_ns} ns"
            )
        by_id[span.span_id] = span
    for span in spans:
        if span.parent_id is not None and span.parent_id not in by_id:
            raise TraceError(f"span {span.span_id!r} has the unknown parent {span.parent_id!r}")
    _check_parents(by_id)
    _check_links(by_id)


def _check_parents(by_id: Mapping[str, Span]) -> None:
    """No cycle and one root; the cycle comes first, for without a root there always is one."""
    rooted: set[str] = set()
    roots: list[str] = []
    for span_id in by_id:
        chain: dict[str, None] = {}
        current: str | None = span_id
        while current is not None and current not in rooted:
            if current in chain:
                raise TraceError(f"span {current!r} is its own ancestor: {_cycle(list(chain), current)}")
            chain[current] = None
            parent_id = by_id[current].parent_id
            if parent_id is None:
                roots.append(current)
            current = parent_id
        rooted.update(chain)
    if len(roots) > 1:
        raise TraceError(
            f"the trace has {len(roots)} roots, {roots[0]!r} and {roots[1]!r} among them; "
            "every span but one needs a parent"
        )


def _check_links(by_id: Mapping[str, Span]) -> None:
    """No span waited, through others, for itself: a depth-first search without recursion."""
    done: set[str] = set()
    for origin in by_id.values():
        if not origin.links or origin.span_id in done:
            continue
        path = {origin.span_id: iter(origin.links)}
        while path:
            current = next(reversed(path))
            target = next(path[current], None)
            if target is None:
                done.add(current)
                del path[current]
            elif target in path:
                raise TraceError(
                    f"span {target!r} waits for itself through links: {_cycle(list(path), target)}"
                )
            elif target in by_id and target not in done:
                path[target] = iter(by_id[target].links)


def _cycle(path: list[str], repeated: str) -> str:
    ids = path[path.index(repeated) :]
    shown = ids if len(ids) <= 8 else [*ids[:7], "…"]
    return " → ".join([*shown, repeated])
