"""LangChain's own standard suites over the simulated model, which answers them without a clock running."""

from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from swarmlab.models import SimulatedChat, SimulatedServer, load_profile
from swarmlab.trace.clock import VirtualClock


class _Declared:
    """What the simulated model is and can do; text only."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return SimulatedChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"server": SimulatedServer(load_profile(""), VirtualClock())}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 100}

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
        model = SimulatedChat(**self.chat_model_params)
        model.invoke("Name a drink.")
        if not stream:
            return model.invoke("Name a drink.")
        chunks = list(model.stream("Name a drink."))
        return sum(chunks[1:], start=chunks[0])


class TestUnitSuite(_Declared, ChatModelUnitTests):
    """The unit suite."""


class TestIntegrationSuite(_Declared, ChatModelIntegrationTests):
    """The integration suite, on a profile that is shipped."""
