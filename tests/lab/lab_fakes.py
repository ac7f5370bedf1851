"""A chat model that follows any schema at once, and cells on a small dataset."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable, RunnableLambda

from swarmlab.errors import ModelError
from swarmlab.lab import Cell, make_cell
from swarmlab.models import LoadedModel

DATA = "beverage:2000"


class FakeChat(BaseChatModel):
    """Answers every schema with its first choices, and fails at call number `fails_at`."""

    calls: list[str] = []  # noqa: RUF012 - pydantic copies a field's default
    fails_at: int = 0

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    def with_structured_output(
        self,
        schema: Any,
        *,
        include_raw: bool = False,
        **kwargs: Any,
    ) -> Runnable[Any, Any]:
        """Answer `schema` without reading the prompt."""
        assert include_raw

        def answer(_: Sequence[BaseMessage]) -> dict[str, Any]:
            self.calls.append(schema["title"])
            if len(self.calls) == self.fails_at:
                raise ModelError(f"the fake failed at call {self.fails_at}")
            raw = AIMessage(
                "{}",
                usage_metadata={"input_tokens": 10, "output_tokens": 2, "total_tokens": 12},
                response_metadata={"timings": {"queue_ns": 10, "prefill_ns": 20, "decode_ns": 30}},
            )
            return {"raw": raw, "parsed": example(schema), "parsing_error": None}

        return RunnableLambda(answer)


def example(schema: dict[str, Any]) -> Any:
    """The first value that comes to mind for a schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: example(part) for name, part in schema["properties"].items()}
    if schema["type"] == "array":
        return [example(schema["items"])]
    return "Sales hold up well."


def fake_loader(chat: FakeChat) -> Callable[..., LoadedModel]:
    """A `load_model` that gives this chat model, whatever it is asked for."""

    def load(spec: str, **_: Any) -> LoadedModel:
        return LoadedModel(chat, chat, f"fake-{spec}", None, 0.0, "provider", None)

    return load


def cell_of(out: Path, **fields: Any) -> Cell:
    """A cold cell of `full` on the small dataset."""
    return make_cell({"level": "full", "data": DATA, "out": str(out), "timeout_s": 120.0} | fields)
