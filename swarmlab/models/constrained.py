"""What the chat models of this package share: options of a call, tools and structured output by schema."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from langchain_core.language_models import LanguageModelInput
from langchain_core.language_models.base import LangSmithParams
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel

from swarmlab.errors import ModelError
from swarmlab.models.constraint import STRING_LIMIT, json_schema_of
from swarmlab.models.structured import structured_runnable
from swarmlab.models.tool_calls import ToolPlan, plan_tools

# What a call may override or carry; anything else is a mistake that must not pass in silence.
CALL_OPTIONS = ("temperature", "seed", "max_tokens", "top_p", "repeat_penalty")
_CARRIED = frozenset(
    {"tools", "tool_choice", "max_tool_calls", "response_schema", "ls_structured_output_format"}
)
_METHODS = ("json_schema", "function_calling", "json_mode")


class ConstrainedChat(BaseChatModel):
    """A chat model whose answers cannot leave a schema; a subclass generates them."""

    kind: ClassVar[str]
    """Names the model in messages and traces: `embedded`, `simulated`."""

    model_name: str = ""
    """Shown in records."""
    temperature: float = 0.0
    top_p: float | None = None
    seed: int = 0
    max_tokens: int | None = 512
    """Bound of one answer; None lets it run until it ends or fills the context."""
    repeat_penalty: float | None = None
    """Above 1 it keeps prose from loops; it also bends choices, so leave it off for those."""
    stop: list[str] | None = None
    string_limit: int | None = STRING_LIMIT
    """Characters of a string in structured output or a tool call whose schema does not bound it."""
    max_tool_calls: int = 8
    """Bound of parallel tool calls in one answer, when `bind_tools(parallel_tool_calls=True)`."""

    @property
    def _identifying_params(self) -> dict[str, Any]:
        names = ("model_name", *CALL_OPTIONS, "stop", "string_limit")
        return {name: getattr(self, name) for name in names}

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = self.kind
        params["ls_model_name"] = kwargs.get("model", self.model_name)
        return params

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | dict[str, Any] | bool | None = None,
        parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Let the model call tools, by a schema that it cannot leave.

        Parameters
        ----------
        tools
            Anything `convert_to_openai_tool` takes.
        tool_choice
            None, False or "auto" (words or a call), True, "any" or "required" (a call), "none", or a name.
        parallel_tool_calls
            Several calls in one answer, at most `max_tool_calls`; otherwise exactly one.
        """
        limit = self.max_tool_calls if parallel_tool_calls else 1
        openai_tools = [convert_to_openai_tool(tool) for tool in tools]
        choice = _choice(tool_choice)
        # Mistakes in names and schemas are reported here, not at the first call.
        plan_tools(openai_tools, choice, limit, self.string_limit)
        return self.bind(tools=openai_tools, tool_choice=choice, max_tool_calls=limit, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type,
        *,
        include_raw: bool = False,
        method: str = "json_schema",
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Answer under a schema that the model cannot leave.

        Parameters
        ----------
        schema
            A pydantic class (returns an instance), a TypedDict class or a JSON schema (returns a dict).
        include_raw
            Return `{"raw", "parsed", "parsing_error"}` instead of raising when the answer was cut off.
        method, strict
            Accepted for compatibility: "json_schema", "function_calling" and "json_mode" are all the same
            here, constrained and always strict.

        Raises
        ------
        ModelError
            Here, for a keyword that cannot be enforced; at the call, for an answer cut off by `max_tokens`.
        """
        if method not in _METHODS:
            raise ModelError(f"unknown structured output method {method!r}")
        # Always strict: the model cannot leave the schema.
        del strict
        json_schema = json_schema_of(schema, self.string_limit)
        bound = self.bind(
            response_schema=json_schema,
            ls_structured_output_format={"kwargs": {"method": method}, "schema": schema},
            **kwargs,
        )
        return structured_runnable(bound, schema, json_schema, include_raw=include_raw)

    def _settings(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The call options that hold for a call, without those that are not set."""
        unknown = sorted(set(options) - {*CALL_OPTIONS} - _CARRIED)
        if unknown:
            raise ModelError(f"the {self.kind} model does not know the option {unknown[0]!r}")
        settings = {name: options.get(name, getattr(self, name)) for name in CALL_OPTIONS}
        return {name: value for name, value in settings.items() if value is not None}

    def _tool_plan(self, options: Mapping[str, Any]) -> ToolPlan | None:
        return plan_tools(
            options.get("tools", ()),
            options.get("tool_choice", "auto"),
            options.get("max_tool_calls", self.max_tool_calls),
            self.string_limit,
        )

    def _preamble(self, tools: Sequence[Any] | None) -> str:
        """What the description of tools adds to a prompt."""
        plan = plan_tools([convert_to_openai_tool(tool) for tool in tools or ()], "auto", self.max_tool_calls)
        return plan.preamble if plan else ""


def _choice(tool_choice: str | dict[str, Any] | bool | None) -> str:
    match tool_choice:
        case None | False:
            return "auto"
        case True | "required":
            return "any"
        case {"function": {"name": str(name)}}:
            return name
        case str(name):
            return name
        case _:
            raise ModelError(f"unknown tool_choice {tool_choice!r}")
