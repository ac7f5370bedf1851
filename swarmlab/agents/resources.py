"""What one run of a swarm works with: brief, level, data, model, trace and cache."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from swarmlab.agents.brief import Brief
from swarmlab.agents.levels import Level
from swarmlab.agents.prefixes import Prompts
from swarmlab.agents.questions import Question
from swarmlab.agents.tool_runs import ToolRunner
from swarmlab.data import Dataset
from swarmlab.models import LoadedModel
from swarmlab.tools import Fact, ToolAnswer
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import Clock
from swarmlab.trace.spans import Span
from swarmlab.trace.tracer import Tracer


@dataclass
class Counts:
    """What a run has used so far."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of `prompt_tokens` that came from the provider's prefix cache."""
    model_calls: int = 0
    tool_calls: int = 0
    tokens_source: Literal["provider", "estimate", "simulated"] = "provider"
    """`estimate` as soon as one answer came without the provider's own counts."""


@dataclass(frozen=True)
class Resources:
    """Everything a turn needs. One object a run; nothing in it is shared between runs."""

    brief: Brief
    level: Level
    dataset: Dataset
    model: LoadedModel
    clock: Clock
    tracer: Tracer
    cache: Cache
    tools: ToolRunner
    questions: tuple[Question, ...]
    seed: int
    code_version: str
    workers: int
    tool_timeout_s: float | None = None
    """Seconds for one tool call, all attempts included; None for as long as it takes."""
    faults: frozenset[str] = frozenset()
    """As `swarmlab.agents.faults` reads them."""
    counts: Counts = field(default_factory=Counts)
    prompts: Prompts = field(default_factory=Prompts)
    answered: list[tuple[int, str]] = field(default_factory=list)
    """End (ns) and last phase's span of each model call so far: what a queued call waited for."""

    async def spend(self, overhead: str) -> None:
        """In simulation, let the profile's seconds pass for what no clock measures there; else nothing.

        Parameters
        ----------
        overhead
            A field of `swarmlab.models.profile.Overhead`.
        """
        profile = self.model.profile
        seconds = 0.0 if profile is None else getattr(profile.overhead, overhead)
        if seconds:
            await self.clock.sleep(seconds)

    @property
    def tool_executions(self) -> int:
        """Tool calls so far that were not served from the cache, failed ones included."""
        return tool_executions(self.tracer.finished())


def tool_executions(spans: Iterable[Span]) -> int:
    """Tool calls that were not served from the cache, failed ones included."""
    return sum(span.category == "tool" and not span.cached for span in spans)


@dataclass(frozen=True)
class Contribution:
    """What one agent added: its tools' answers, its words, its citations and its choices."""

    agent: str
    title: str
    span_id: str
    answers: tuple[ToolAnswer, ...]
    errors: tuple[str, ...]
    finding: str
    recommendation: str
    cites: tuple[str, ...]
    choices: Mapping[str, str]
    tool_spans: Mapping[str, str] = field(default_factory=dict)
    """Span of each tool call that gave an answer, by tool."""
    draft_span: str | None = None
    decision_spans: tuple[str, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Ids of the spans whose output is in this contribution."""
        drafts = () if self.draft_span is None else (self.draft_span,)
        return (*self.tool_spans.values(), *drafts, *self.decision_spans)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All facts of this agent's tools, in the order of its requests."""
        return tuple(fact for answer in self.answers for fact in answer.facts)
