"""The conformance definitions done slowly and word for word, with nothing of the code under test in them.

Every question goes over all spans, every stretch of time is cut wherever any span starts or ends.
"""

from itertools import groupby, pairwise


def top_of(spans):
    """The root."""
    return next(span for span in spans if span.parent_id is None)


def leaf_intervals(spans):
    """Every elementary interval of the root with the spans that are leaves in it, in (start, id) order."""
    top = top_of(spans)
    ordered = sorted(spans, key=lambda span: (span.start_ns, span.span_id))
    since = {s.span_id: min(max(s.start_ns, top.start_ns), top.end_ns) for s in ordered}
    until = {s.span_id: min(max(s.end_ns, top.start_ns), top.end_ns) for s in ordered}
    for low, high in pairwise(sorted({*since.values(), *until.values()})):
        active = [s for s in ordered if since[s.span_id] <= low and until[s.span_id] >= high]
        parents = {s.parent_id for s in active}
        yield low, high, [s for s in active if s.span_id not in parents]


def attribute_slowly(spans):
    """The leaf rule: nanoseconds by span id."""
    shares = {span.span_id: 0 for span in spans}
    for low, high, leaves in leaf_intervals(spans):
        quotient, remainder = divmod(high - low, len(leaves))
        for rank, leaf in enumerate(leaves):
            shares[leaf.span_id] += quotient + (rank < remainder)
    return shares


def concurrency_slowly(spans):
    """(start, end, how many leaves besides the root) of every elementary interval."""
    return [
        (low, high, sum(leaf.parent_id is not None for leaf in leaves))
        for low, high, leaves in leaf_intervals(spans)
    ]


class SlowPath:
    """The critical path, backwards from the root's end; `segments` are (span_id, category, start, end)."""

    def __init__(self, spans):
        self.by_id = {span.span_id: span for span in spans}
        self.top = top_of(spans)
        self.children = {s.span_id: [c for c in spans if c.parent_id == s.span_id] for s in spans}
        self.times = sorted({time for span in spans for time in (span.start_ns, span.end_ns)})
        self.now = self.top.end_ns
        self.on_path = set()
        self.backwards = []

    def segments(self):
        span = self.into(self.top)
        while span is not self.top and self.now > self.top.start_ns:
            parent = self.by_id[span.parent_id]
            before = self.waited_for(span, parent)
            self.lay(parent.start_ns if before is None else before.end_ns, parent, in_gap=True)
            span = parent if before is None else self.into(before)
        self.lay(self.top.start_ns, self.top)
        merged = []
        for whose, parts in groupby(reversed(self.backwards), key=lambda part: part[:2]):
            parts = list(parts)
            merged.append((*whose, parts[0][2], parts[-1][3]))
        return merged

    def into(self, span):
        """Go down to the leaf-most span that ended last, laying what each parent did after it."""
        while True:
            self.on_path.update(self.line(span))
            last = self.last_child(span)
            if last is None or self.end_with_all_below(last) < span.start_ns:
                self.lay(span.start_ns, span)
                return span
            self.lay(self.end_with_all_below(last), span)
            span = last

    def line(self, span):
        """Ids of a span and its ancestors."""
        return [span.span_id, *(self.line(self.by_id[span.parent_id]) if span.parent_id else ())]

    def end_with_all_below(self, span):
        return max([span.end_ns, *(self.end_with_all_below(child) for child in self.children[span.span_id])])

    def last_child(self, span):
        ends = {child.span_id: self.end_with_all_below(child) for child in self.children[span.span_id]}
        children = self.children[span.span_id]
        active = [c for c in children if c.start_ns < self.now <= ends[c.span_id]]
        if active:
            return min(active, key=lambda c: (c.start_ns, c.span_id))
        over = [c for c in children if ends[c.span_id] <= self.now]
        return max(over, key=lambda c: self.last_first(c, ends[c.span_id]), default=None)

    def waited_for(self, span, parent):
        linked = [self.by_id[link] for link in span.links if link in self.by_id]
        linked = [target for target in linked if self.open_to_path(target)]
        if linked:
            last = max(linked, key=lambda t: (min(t.end_ns, self.now), -t.start_ns, t.span_id))
        else:
            by = min(self.now, span.start_ns)
            siblings = [s for s in self.children[parent.span_id] if s is not span and s.end_ns <= by]
            # Among spans of no time at one instant, those before it in order.
            siblings = [s for s in siblings if self.last_first(s) < self.last_first(span)]
            last = max(siblings, key=self.last_first, default=None)
            if last is None or not self.open_to_path(last):
                return None
        # What was over before the parent started held nobody: on to the parent's start.
        return last if last.end_ns >= parent.start_ns else None

    def open_to_path(self, span):
        has_started = span.start_ns < self.now or span.start_ns == span.end_ns == self.now
        return has_started and span.span_id not in self.on_path

    @staticmethod
    def last_first(span, end_ns=None):
        end_ns = span.end_ns if end_ns is None else end_ns
        return (end_ns, span.start_ns == end_ns, -span.start_ns, span.span_id)

    def lay(self, until, owner, in_gap=False):
        """Lay the time from `now` back to `until`, one elementary interval at a time."""
        until = max(until, self.top.start_ns)
        cuts = sorted({until, self.now, *(t for t in self.times if until < t < self.now)})
        for low, high in reversed(list(pairwise(cuts))):
            if until >= self.now:
                break
            self.backwards.append((*self.whose(low, high, owner, in_gap), low, high))
        self.now = min(self.now, until)

    def whose(self, low, high, owner, in_gap):
        def is_active(span):
            return span.start_ns <= low and span.end_ns >= high

        if in_gap and any(is_active(child) for child in self.children[owner.span_id]):
            return None, "barrier"
        if not is_active(owner):
            return None, "framework"
        return (None if owner is self.top else owner.span_id), owner.category


def barrier_waits_slowly(spans):
    """Time in which a span's links are done and its parent runs, but a sibling over by its start is not."""
    by_id = {span.span_id: span for span in spans}
    times = sorted({time for span in spans for time in (span.start_ns, span.end_ns)})
    waits = {}
    for span in spans:
        done = [by_id[link].end_ns for link in span.links if link in by_id]
        if not done or span.parent_id is None:
            continue
        ready = max(*done, by_id[span.parent_id].start_ns)
        siblings = [
            s for s in spans if s.parent_id == span.parent_id and s is not span and s.end_ns <= span.start_ns
        ]
        held = sum(
            high - low
            for low, high in pairwise(times)
            if low >= ready
            and high <= span.start_ns
            and any(s.start_ns <= low and s.end_ns >= high for s in siblings)
        )
        if held:
            waits[span.span_id] = held
    return waits


def without_barriers_slowly(spans, waits):
    """The root's duration when every start comes as long after what it needs as it did, less its wait."""
    by_id = {span.span_id: span for span in spans}
    known = {}

    def moved(span, what):
        """How much earlier the start or the end of a span comes."""
        if (span.span_id, what) not in known:
            known[span.span_id, what] = 0  # what waits for itself, at one instant, stays where it is
            known[span.span_id, what] = start_moved(span) if what == "start" else end_moved(span)
        return known[span.span_id, what]

    def later_of(needs):
        """How much earlier the last of (old time, move) comes."""
        return max(old for old, _ in needs) - max(old - move for old, move in needs)

    def start_moved(span):
        if span.parent_id is None:
            return 0
        parent = by_id[span.parent_id]
        linked = [by_id[link] for link in span.links if link in by_id]
        if not linked:
            siblings = [s for s in spans if s.parent_id == span.parent_id and s is not span]
            siblings = [s for s in siblings if s.end_ns <= span.start_ns]
            siblings = [s for s in siblings if SlowPath.last_first(s) < SlowPath.last_first(span)]
            linked = [max(siblings, key=SlowPath.last_first)] if siblings else []
        needs = [(s.end_ns, moved(s, "end")) for s in linked if s.end_ns <= span.start_ns]
        if parent.start_ns <= span.start_ns:
            needs.append((parent.start_ns, moved(parent, "start")))
        return (later_of(needs) if needs else 0) + waits.get(span.span_id, 0)

    def end_moved(span):
        inside = [c for c in spans if c.parent_id == span.span_id and c.end_ns <= span.end_ns]
        if not inside:
            return moved(span, "start")
        return later_of([(c.end_ns, moved(c, "end")) for c in inside])

    return top_of(spans).end_ns - top_of(spans).start_ns - end_moved(top_of(spans))
