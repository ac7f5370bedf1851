"""LangChain's own standard suites over the embedded model."""

from typing import Any

import pytest
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from swarmlab.models import EmbeddedChat, Engine


class _Declared:
    """What the embedded model is and can do; text only, one model a process."""

    _engine: Engine

    @pytest.fixture(autouse=True)
    def _use_engine(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return EmbeddedChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"engine": self._engine}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 56, "string_limit": 30}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return False

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        return {"invoke": ["cache_read_input"], "stream": ["cache_read_input"]}

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        model = EmbeddedChat(engine=self._engine, max_tokens=8)
        model.invoke("Name a drink.")
        if not stream:
            return model.invoke("Name a drink.")
        chunks = list(model.stream("Name a drink."))
        return sum(chunks[1:], start=chunks[0])


class TestUnitSuite(_Declared, ChatModelUnitTests):
    """The unit suite."""


class TestIntegrationSuite(_Declared, ChatModelIntegrationTests):
    """The integration suite, on the real model."""
