"""The tools as LangChain tools with typed arguments, for agents of one's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from langchain_core.tools import StructuredTool, ToolException
from pydantic import BaseModel, ConfigDict, Field

from swarmlab.data import Dataset
from swarmlab.errors import SpecError, ToolError
from swarmlab.tools.available import available_tools, check_plan
from swarmlab.tools.catalogue import TOOLS
from swarmlab.tools.facts import Fact
from swarmlab.tools.run import SharedFrame, run_tool
from swarmlab.tools.scope import Scope, check_scope
from swarmlab.tools.truth import entities

CampaignType = Literal["awareness", "conversion", "retention", "launch"]


class ToolArguments(BaseModel):
    """What every tool may be asked about; the defaults are the whole of the data."""

    model_config = ConfigDict(extra="forbid")

    brands: Annotated[list[str], Field(description="Brands in focus; shares stay those of the market.")] = []
    categories: Annotated[list[str], Field(description="Only these categories; all if empty.")] = []
    regions: Annotated[list[str], Field(description="Only these regions; all if empty.")] = []
    forecast_periods: Annotated[int, Field(ge=1, le=24, description="Calendar months ahead.")] = 3
    budget: Annotated[float, Field(gt=0, allow_inf_nan=False, description="Money to be spent.")] = 100_000.0
    campaign_type: Annotated[
        Literal["awareness", "conversion", "retention", "launch"],
        Field(description="What the budget is for."),
    ] = "awareness"


def as_langchain(dataset: Dataset) -> list[StructuredTool]:
    """The tools that the data allow, in the catalogue's order.

    Each returns the text of its headline facts as content and the tuple of all its facts as the artifact.
    What cannot be answered (a brand that is not in the data, no row in scope) comes back as the message of a
    failed call, for the model to mend.

    Parameters
    ----------
    dataset
        From `swarmlab.data.open_dataset`; read once, when the first tool is called, and shared by all.
    """
    shared = SharedFrame(dataset)
    return [
        StructuredTool.from_function(
            func=_caller(name, dataset, shared),
            name=name,
            description=TOOLS[name].description,
            args_schema=ToolArguments,
            response_format="content_and_artifact",
            handle_tool_error=True,
        )
        for name in available_tools(dataset)
    ]


def _caller(name: str, dataset: Dataset, shared: SharedFrame) -> Callable[..., tuple[str, tuple[Fact, ...]]]:
    return partial(_call, name, dataset, shared)


def _call(name: str, dataset: Dataset, shared: SharedFrame, **arguments: Any) -> tuple[str, tuple[Fact, ...]]:
    try:
        scope = Scope(**arguments)
        check_scope(scope, entities(dataset, Scope()))
        check_plan((name,), dataset, scope)
        answer = run_tool(name, scope, dataset, "vectorized", shared)
    except (SpecError, ToolError) as error:
        raise ToolException(str(error)) from error
    return answer.text, answer.facts
