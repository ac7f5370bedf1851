"""Providers through `init_chat_model`: refusals, and a real HTTP server (llama.cpp's own)."""

import sys

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel, Field

from swarmlab.errors import ModelUnavailableError
from swarmlab.models import Engine, LoadedModel, load_model
from swarmlab.trace.clock import WallClock


@pytest.fixture
def served(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """The engine's own HTTP server, used as anybody's OpenAI-compatible one."""
    base_url, key = engine.openai_endpoint
    monkeypatch.setenv("OPENAI_API_KEY", key)
    return load_model("openai:smollm2", clock=WallClock(), base_url=base_url)


def test_a_served_model_answers_with_its_own_counts(served: LoadedModel, engine: Engine) -> None:
    """Invoke over HTTP gives text and the provider's counts, the same the engine gives in process."""
    answer = served.chat.invoke("Say hello.", max_tokens=8)
    assert isinstance(answer, AIMessage)
    assert answer.text
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == engine.count_prompt_tokens(
        [{"role": "user", "content": "Say hello."}]
    )
    assert served.tokens_source == "provider"
    assert served.file_hash is None


def test_a_served_model_streams_with_counts(served: LoadedModel) -> None:
    """Streaming over HTTP gives several pieces and the counts once."""
    chunks = list(served.chat.stream("Say hello.", max_tokens=8))
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert len([chunk for chunk in chunks if chunk.usage_metadata]) == 1


class Verdict(BaseModel):
    """A bounded answer."""

    grows: bool
    score: int = Field(ge=0, le=9)


def test_a_served_model_keeps_a_schema(served: LoadedModel) -> None:
    """Structured output by `json_schema` over HTTP comes back as an instance."""
    verdict = served.chat.with_structured_output(Verdict, method="json_schema").invoke(
        "Sales rose. Do they grow?"
    )
    assert isinstance(verdict, Verdict)


def test_a_server_without_a_key_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a base URL, by argument or environment, no key has to be set."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert load_model("openai:x", clock=WallClock(), base_url="http://127.0.0.1:1/v1").id == "openai:x"
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert load_model("openai:x", clock=WallClock()).context_tokens is None


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key the message names the variable to set."""
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(ModelUnavailableError, match="OPENAI_API_KEY"):
        load_model("openai:gpt-4o", clock=WallClock())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider whose package is not installed is answered with the package's name."""
    monkeypatch.setitem(sys.modules, "langchain_anthropic", None)
    with pytest.raises(ModelUnavailableError, match="langchain-anthropic"):
        load_model("anthropic:claude-x", clock=WallClock())
