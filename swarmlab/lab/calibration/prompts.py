"""The prompts of runs, without a model: the agents' own code asks, the simulation's writer answers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda

from swarmlab.agents.levels import Level
from swarmlab.errors import ModelError
from swarmlab.lab.api import make_cell
from swarmlab.lab.calibration.spec import Work
from swarmlab.lab.measure import run_once
from swarmlab.lab.simulate import Simulator
from swarmlab.models.draws import digest
from swarmlab.models.loaded import LoadedModel
from swarmlab.models.profile import Lengths
from swarmlab.models.writing import write_json
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import VirtualClock


@dataclass(frozen=True)
class Asked:
    """One call of a run: what was asked, and under which schema."""

    level: str
    system: str
    user: str
    schema: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The schema's title, by which a profile gives lengths."""
        return str(self.schema["title"])

    def answer(self, lengths: Lengths) -> str:
        """The JSON that the simulation's writer gives at these lengths."""
        value = write_json(self.schema, self.user, lengths, digest(self.system, self.user))
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def prompts_of(works: Sequence[Work], levels: Sequence[Level]) -> Iterator[tuple[Work, Asked]]:
    """Every call of a run of each level on each work, caches aside.

    Raises
    ------
    UserError
        The data or a brief cannot be used.
    """
    simulator = Simulator()
    for work in works:
        for level in levels:
            yield from ((work, asked) for asked in _prompts(simulator, work, level))


def _prompts(simulator: Simulator, work: Work, level: Level) -> Sequence[Asked]:
    fields = {
        "brief": work.brief,
        "data": work.data,
        "seed": work.seed,
        "model": "simulated",
        "out": "unused",
    }
    cell = make_cell({**fields, "level": level.model_copy(update={"cache": ()})})
    clock, chat = VirtualClock(), _NotingChat(level=level.name)
    noting = LoadedModel(chat, chat, "noting", None, 0.0, "provider", None)
    bench = replace(simulator.bench(cell, clock), model=noting)
    measured = clock.run(run_once(cell, bench, clock, Cache(None, ())))
    if measured.error is not None:
        raise ModelError(f"the prompts of {level.name} on {work.data} cannot be told: {measured.error}")
    return chat.asked


class _NotingChat(BaseChatModel):
    """Answers every schema at middle length and keeps what it was asked."""

    level: str
    asked: list[Any] = []  # noqa: RUF012 - pydantic copies a field's default

    @property
    def _llm_type(self) -> str:
        return "noting"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("{}"))])

    def with_structured_output(self, schema: Any, **_: Any) -> Runnable[Any, Any]:
        """Answer under `schema` in LangChain's form with `include_raw`, which is the only one here."""

        def answer(messages: list[BaseMessage]) -> dict[str, Any]:
            asked = Asked(self.level, str(messages[0].content), str(messages[1].content), schema)
            self.asked.append(asked)
            text = asked.answer(Lengths())
            return {"raw": AIMessage(text), "parsed": json.loads(text), "parsing_error": None}

        async def aanswer(messages: list[BaseMessage]) -> dict[str, Any]:
            return answer(messages)

        return RunnableLambda(answer, aanswer)
