"""Records the spans of one run while it runs: a few microseconds a span, from any task or thread."""

import itertools
import threading
from collections.abc import Iterable
from contextvars import ContextVar, Token
from operator import attrgetter
from types import TracebackType

from swarmlab.errors import TraceError
from swarmlab.trace.clock import Clock
from swarmlab.trace.spans import CATEGORIES, Span


class Tracer:
    """The recorder of one run; thread-safe.

    The current span is kept in a context variable, so parents are right across asyncio tasks and in threads
    run with a copied context (`asyncio.to_thread` copies; a plain `run_in_executor` does not, and a span
    opened there becomes a second root).

    Parameters
    ----------
    clock
        Source of every start and end.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._agents: dict[str, str | None] = {}
        self._finished: list[Span] = []
        # One variable a tracer, not one a module: the runs of two tracers in one task must not adopt each
        # other's spans. Every span resets it, so no context keeps the tracer alive after its run.
        self._current: ContextVar[OpenSpan | None] = ContextVar("swarmlab_current_span", default=None)

    def span(
        self,
        category: str,
        name: str,
        *,
        agent: str | None = None,
        links: Iterable[str] = (),
        cached: bool = False,
        attempt: int = 1,
        key: str | None = None,
        reads: Iterable[str] | None = None,
    ) -> "OpenSpan":
        """A span as a context manager: it starts on entry and is recorded on exit.

        An exception that leaves the block sets its status to `error` and propagates; a generator that is
        closed early (`GeneratorExit`) is no error.

        Parameters
        ----------
        category
            One of `CATEGORIES`.
        name
            What ran: a tool's, agent's or step's name.
        agent
            Whose work it is; the parent's agent when None.
        links
            Ids of the spans that this one waited for.
        cached, attempt, key, reads
            As in `Span`.

        Raises
        ------
        TraceError
            The category is unknown.
        """
        if category not in CATEGORIES:
            raise _unknown_category(category, name)
        opened = OpenSpan(self, category, name, agent)
        opened.links = list(links)
        opened.cached = cached
        opened.attempt = attempt
        opened.key = key
        opened.reads = None if reads is None else tuple(reads)
        return opened

    def add(
        self,
        category: str,
        name: str,
        start_ns: int,
        end_ns: int,
        *,
        parent_id: str | None = None,
        agent: str | None = None,
        links: Iterable[str] = (),
        cached: bool = False,
        tokens: int | None = None,
        repeated_tokens: int | None = None,
    ) -> str:
        """Record a span whose times are known (an engine's own queue, prefill or decode); returns its id.

        Parameters
        ----------
        start_ns, end_ns
            Nanoseconds of this tracer's clock.
        parent_id
            The parent; the current span when None.
        category, name, agent, links, cached
            As in `span`.
        tokens, repeated_tokens
            As in `Span`.

        Raises
        ------
        TraceError
            The category is unknown, or the span ends before it starts.
        """
        if category not in CATEGORIES:
            raise _unknown_category(category, name)
        if end_ns < start_ns:
            raise TraceError(f"span {name!r} ends at {end_ns} ns, before its start at {start_ns} ns")
        if parent_id is None:
            parent_id = self.current_id
        with self._lock:
            span_id = f"s{next(self._numbers):04d}"
            if agent is None and parent_id is not None:
                agent = self._agents.get(parent_id)
            self._agents[span_id] = agent
            self._finished.append(
                Span(
                    span_id,
                    parent_id,
                    tuple(links),
                    category,
                    name,
                    agent,
                    start_ns,
                    end_ns,
                    cached,
                    tokens=tokens,
                    repeated_tokens=repeated_tokens,
                )
            )
        return span_id

    @property
    def current_id(self) -> str | None:
        """Id of the innermost span open in this context, or None outside any."""
        current = self._current.get()
        return None if current is None else current.span_id

    def finished(self) -> list[Span]:
        """The spans recorded so far, sorted by (start_ns, span_id); spans still open are not among them."""
        with self._lock:
            spans = list(self._finished)
        return sorted(spans, key=attrgetter("start_ns", "span_id"))

    def _open(self, opened: "OpenSpan") -> Token["OpenSpan | None"]:
        parent = self._current.get()
        if parent is not None:
            opened.parent_id = parent.span_id
            if opened.agent is None:
                opened.agent = parent.agent
        # The time is read under the lock so that the ids' order is the order of the starts.
        with self._lock:
            opened.span_id = span_id = f"s{next(self._numbers):04d}"
            self._agents[span_id] = opened.agent
            opened.start_ns = self._clock.now_ns()
        return self._current.set(opened)

    def _close(self, opened: "OpenSpan", token: Token["OpenSpan | None"]) -> None:
        end_ns = self._clock.now_ns()
        span = Span(
            opened.span_id,
            opened.parent_id,
            tuple(opened.links),
            opened.category,
            opened.name,
            opened.agent,
            opened.start_ns,
            end_ns,
            opened.cached,
            opened.attempt,
            opened.status,
            opened.key,
            opened.reads,
        )
        with self._lock:
            self._finished.append(span)
        try:
            self._current.reset(token)
        except ValueError:
            # An async generator may be closed by another task, in whose context this span never was current.
            return


class OpenSpan:
    """A span that is running; made by `Tracer.span` and entered once.

    Attributes
    ----------
    span_id
        Known from entry on; empty before.
    cached, status, key, reads
        May be set while the span runs.
    """

    __slots__ = (
        "_token",
        "_tracer",
        "agent",
        "attempt",
        "cached",
        "category",
        "key",
        "links",
        "name",
        "parent_id",
        "reads",
        "span_id",
        "start_ns",
        "status",
    )

    def __init__(self, tracer: Tracer, category: str, name: str, agent: str | None) -> None:
        self._tracer = tracer
        self._token: Token[OpenSpan | None] | None = None
        self.span_id = ""
        self.parent_id: str | None = None
        self.links: list[str] = []
        self.category = category
        self.name = name
        self.agent = agent
        self.start_ns = 0
        self.cached = False
        self.attempt = 1
        self.status = "ok"
        self.key: str | None = None
        self.reads: tuple[str, ...] | None = None

    def link(self, span_id: str) -> None:
        """Note that this span waited for the span `span_id`."""
        if span_id not in self.links:
            self.links.append(span_id)

    def __enter__(self) -> "OpenSpan":
        if self.span_id:
            raise TraceError(
                f"span {self.span_id} ({self.name!r}) was entered twice; open a new span instead"
            )
        self._token = self._tracer._open(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is None:
            raise TraceError(f"span {self.name!r} was left without having been entered")
        if exc_type is not None and not issubclass(exc_type, GeneratorExit):
            self.status = "error"
        self._tracer._close(self, self._token)


def _unknown_category(category: str, name: str) -> TraceError:
    known = ", ".join(CATEGORIES)
    return TraceError(f"span {name!r} has the unknown category {category!r}; known: {known}")
