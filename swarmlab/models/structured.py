"""From a constrained answer to an object: the last step of `with_structured_output`."""

from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

from swarmlab.errors import ModelError
from swarmlab.models.constraint import read_json


def structured_runnable(
    bound: Runnable[LanguageModelInput, AIMessage],
    schema: Mapping[str, Any] | type,
    json_schema: Mapping[str, Any],
    *,
    include_raw: bool,
) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
    """Chain a model bound to `json_schema` with a reader that returns what `schema` promises.

    A cut-off answer raises ModelError, or with `include_raw` that stands in `parsing_error` beside `raw`.
    """

    def read(message: AIMessage) -> Any:
        value = read_json(message.text, message.response_metadata["finish_reason"], json_schema)
        return typed(schema, value)

    def answer(message: AIMessage) -> Any:
        return with_raw(message, read) if include_raw else read(message)

    async def aanswer(message: AIMessage) -> Any:
        # Without this one LangChain would take a thread, which a simulation refuses.
        return answer(message)

    return bound | RunnableLambda(answer, aanswer)


def with_raw(message: AIMessage, read: Callable[[AIMessage], Any]) -> dict[str, Any]:
    """What `include_raw` promises: the message, what it was read as, and why that failed."""
    try:
        return {"raw": message, "parsed": read(message), "parsing_error": None}
    except ModelError as error:
        return {"raw": message, "parsed": None, "parsing_error": error}


def typed(schema: Mapping[str, Any] | type, value: Any) -> Any:
    """Return a value as an instance of `schema` where that is a pydantic class; raises ModelError."""
    return _validated(schema, value) if _is_pydantic(schema) else value


def _is_pydantic(schema: Mapping[str, Any] | type) -> bool:
    return isinstance(schema, type) and is_basemodel_subclass(schema)


def _validated(schema: Any, value: Any) -> Any:
    try:
        # LangChain still takes pydantic's old classes.
        return schema.model_validate(value) if issubclass(schema, BaseModel) else schema.parse_obj(value)
    except ValueError as error:
        # Rules that JSON schema cannot say (validators) are the class's own.
        raise ModelError(f"the answer breaks a rule of {schema.__name__}: {error}") from error
