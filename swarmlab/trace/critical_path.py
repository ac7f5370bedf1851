"""The critical path: the chain of spans and waits that made the run as long as it was.

Found backwards from the root's end: into the leaf-most span that ended last, to its start, then to what it
waited for, which is the span of its `links` that ended last; without links, the sibling that ended last
before it started; without one, its parent's start; and so on. What lies between two steps is `barrier` while
another sibling was still running, else the time of the parent itself (of the root's category, `framework`,
between children of the root).

A child that outlasts its parent is still its descendant that ended last. A link to a span that ended only
after the waiting one started is cut off there; a link to a span that is missing, that started later or that
the path is already in is ignored. What was over before the parent started held nobody up: where that is so
of all links, the path goes to the parent's start. Time outside the root is cut off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from swarmlab.trace.family import Family
from swarmlab.trace.spans import Span
from swarmlab.trace.tree import SpanTree, span_tree


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the critical path in nanoseconds of the run's clock."""

    span_id: str | None
    """Whose time it is; None while waiting at a barrier and for the root's own time."""
    category: str
    start_ns: int
    end_ns: int

    @property
    def duration_ns(self) -> int:
        """Length of the segment in nanoseconds."""
        return self.end_ns - self.start_ns


def critical_path(spans: Sequence[Span]) -> list[Segment]:
    """The segments of the critical path in time order; they tile the root's interval.

    Raises
    ------
    TraceError
        The spans are not one trace, as `check_spans` says.
    """
    return critical_path_of_tree(span_tree(spans))


def critical_path_of_tree(tree: SpanTree) -> list[Segment]:
    """`critical_path` for a trace that is already checked and indexed."""
    return _Walk(tree).segments()


class _Walk:
    """One walk backwards through a trace: where it is, what it has entered, what it has laid down.

    The cursor never moves forwards, and a span is entered once, so the walk ends whatever the links say.
    """

    def __init__(self, tree: SpanTree) -> None:
        self._tree = tree
        self._cursor_ns = tree.root.end_ns
        self._laid: list[Segment] = []
        self._entered: set[str] = set()
        self._families: dict[str, Family] = {}
        self._outlasted = _outlasted(tree)

    def segments(self) -> list[Segment]:
        root = self._tree.root
        span = self._descend(root)
        while self._cursor_ns > root.start_ns:
            parent = self._tree.by_id[span.parent_id] if span.parent_id is not None else None
            if parent is None:
                self._lay_own(root, root.start_ns)
                break
            waited_for = self._waited_for(span, parent)
            if waited_for is None:
                self._lay_gap(parent, parent.start_ns)
                span = parent
            else:
                self._lay_gap(parent, waited_for.end_ns)
                span = self._descend(waited_for)
        return self._laid[::-1]

    def _descend(self, span: Span) -> Span:
        """Enter `span` at the cursor and go down to the leaf-most span active or last ended there."""
        self._enter(span)
        while span.span_id in self._tree.children:
            subtrees = self._subtrees(span)
            child = subtrees.last_until(self._cursor_ns)
            if child is None or subtrees.end_ns(child) < span.start_ns:
                break
            self._lay_own(span, subtrees.end_ns(child))
            self._entered.add(child.span_id)
            span = child
        self._lay_own(span, span.start_ns)
        return span

    def _enter(self, span: Span) -> None:
        """Mark `span` and its ancestors: what it waited for cannot be one that holds it."""
        ancestor: Span | None = span
        while ancestor is not None and ancestor.span_id not in self._entered:
            self._entered.add(ancestor.span_id)
            ancestor = self._tree.by_id[ancestor.parent_id] if ancestor.parent_id is not None else None

    def _waited_for(self, span: Span, parent: Span) -> Span | None:
        targets = (self._tree.by_id.get(link) for link in span.links)
        linked = [target for target in targets if target is not None and self._can_come_before(target)]
        if linked:
            # Of several that ended together, the longest, for it leaves the fewest gaps.
            last = max(linked, key=lambda s: (min(s.end_ns, self._cursor_ns), -s.start_ns, s.span_id))
        else:
            sibling = self._family(parent).ended_before(span, min(self._cursor_ns, span.start_ns))
            if sibling is None or not self._can_come_before(sibling):
                return None
            last = sibling
        return last if last.end_ns >= parent.start_ns else None

    def _can_come_before(self, span: Span) -> bool:
        """Whether the path can go on from the cursor into `span`."""
        started = span.start_ns < self._cursor_ns or span.start_ns == span.end_ns == self._cursor_ns
        return started and span.span_id not in self._entered

    def _family(self, parent: Span) -> Family:
        family = self._families.get(parent.span_id)
        if family is None:
            family = self._families[parent.span_id] = Family(self._tree.children[parent.span_id])
        return family

    def _subtrees(self, parent: Span) -> Family:
        """The children of `parent`, each until the last of its descendants ended."""
        if not self._outlasted:
            return self._family(parent)
        return Family(self._tree.children[parent.span_id], self._outlasted)

    def _lay_gap(self, parent: Span, until_ns: int) -> None:
        """Account for the time from the cursor back to `until_ns` between two children of `parent`."""
        if until_ns >= self._cursor_ns:
            return
        for since, end in reversed(self._family(parent).running(until_ns, self._cursor_ns)):
            self._lay_own(parent, end)
            self._lay(None, "barrier", since)
        self._lay_own(parent, until_ns)

    def _lay_own(self, span: Span, until_ns: int) -> None:
        """Time of `span` itself back to `until_ns`; before or after it ran, nobody's: the framework's."""
        self._lay(None, "framework", max(until_ns, span.end_ns))
        is_root = span is self._tree.root
        self._lay(None if is_root else span.span_id, span.category, max(until_ns, span.start_ns))
        self._lay(None, "framework", until_ns)

    def _lay(self, span_id: str | None, category: str, until_ns: int) -> None:
        until_ns = max(until_ns, self._tree.root.start_ns)
        if until_ns >= self._cursor_ns:
            return
        end_ns = self._cursor_ns
        if self._laid and (self._laid[-1].span_id, self._laid[-1].category) == (span_id, category):
            end_ns = self._laid.pop().end_ns
        self._laid.append(Segment(span_id, category, until_ns, end_ns))
        self._cursor_ns = until_ns


def _outlasted(tree: SpanTree) -> dict[str, int]:
    """By id of each span that a descendant outlasts: when the last of its descendants ended."""
    ends: dict[str, int] = {}
    late = [s for s in tree.spans if s.parent_id is not None and s.end_ns > tree.by_id[s.parent_id].end_ns]
    # The latest first, so that every ancestor is reached by its own last descendant, and only once.
    for span in sorted(late, key=lambda span: -span.end_ns):
        ancestor = span
        while ancestor.parent_id is not None:
            ancestor = tree.by_id[ancestor.parent_id]
            if ancestor.span_id in ends or ancestor.end_ns >= span.end_ns:
                break
            ends[ancestor.span_id] = span.end_ns
    return ends
