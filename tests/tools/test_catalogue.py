"""The catalogue: what is in it, which tools some data allow, and the tools as LangChain tools."""

import inspect
from pathlib import Path

import pytest
from langchain_core.messages import ToolMessage
from pydantic import ValidationError
from sales_frames import dataset_of, random_frame
from shopper_frames import shopper_frame

from swarmlab.data import open_dataset
from swarmlab.errors import SpecError
from swarmlab.tools import DEFAULT_PLAN, TOOLS, Scope, as_langchain, available_tools, check_plan
from swarmlab.tools.facts import Fact


def test_the_catalogue_begins_with_the_twelve_of_the_default_plan() -> None:
    """Twelve tools any data allow, in their order, then ten more, each under its own name."""
    assert tuple(TOOLS)[:12] == DEFAULT_PLAN
    assert len(TOOLS) == 22
    for name, tool in TOOLS.items():
        assert (tool.name, tool.fn.__name__) == (name, name)
        assert tool.description.endswith(".")
        assert "Returns" in (inspect.getdoc(tool.fn) or "")


def test_every_extra_tool_states_its_source() -> None:
    """Each definition beyond the default plan cites a work by its year."""
    for name in TOOLS.keys() - set(DEFAULT_PLAN):
        assert any(str(year) in (inspect.getdoc(TOOLS[name].fn) or "") for year in range(1900, 2024)), name


def test_grocery_allows_all_and_beverage_what_its_columns_allow() -> None:
    """Companion tables make every tool available; without households their tools are not."""
    assert available_tools(open_dataset("grocery")) == tuple(TOOLS)
    beverage = set(TOOLS) - set(available_tools(open_dataset("beverage:1000")))
    assert beverage == {
        *("customer_churn", "rfm", "promotion_lift", "coupon_lift", "campaign_roi"),
        *("basket_affinity", "budget_response"),
    }


def test_a_plan_the_data_do_not_allow_is_refused(tmp_path: Path) -> None:
    """The error names the tool, the missing columns and the file; what the data allow passes."""
    dataset = dataset_of(random_frame(1), tmp_path, "plain")
    with pytest.raises(SpecError, match=r"coupon_lift.*household_id, coupon_value.*plain\.csv"):
        check_plan(("kpis", "coupon_lift"), dataset)
    check_plan(DEFAULT_PLAN, dataset)
    check_plan(("coupon_lift", "rfm"), dataset_of(shopper_frame(1), tmp_path))


def test_a_scope_may_make_a_tool_unavailable() -> None:
    """The campaigns of grocery cannot be cut to a category, and the plan is refused beforehand."""
    grocery = open_dataset("grocery")
    scope = Scope(categories=("PRODUCE",))
    assert set(TOOLS) - set(available_tools(grocery, scope)) == {"campaign_roi"}
    with pytest.raises(SpecError, match="campaign_roi, which needs column category"):
        check_plan(("campaign_roi",), grocery, scope)


def test_langchain_tools_have_typed_arguments_and_give_facts(tmp_path: Path) -> None:
    """A call returns the text as content and the facts as artifact; only available tools are offered."""
    dataset = dataset_of(shopper_frame(1, 800), tmp_path)
    tools = {tool.name: tool for tool in as_langchain(dataset)}
    assert tuple(tools) == available_tools(dataset)
    assert set(tools["rfm"].args) == {
        *("brands", "categories", "regions", "forecast_periods", "budget", "campaign_type"),
    }
    call = {"name": "rfm", "args": {"categories": ["Tea"]}, "id": "1", "type": "tool_call"}
    message = tools["rfm"].invoke(call)
    assert isinstance(message, ToolMessage)
    assert "households that bought" in message.content
    assert all(isinstance(fact, Fact) for fact in message.artifact)
    assert message.artifact == TOOLS["rfm"].fn(dataset.load(), Scope(categories=("Tea",)))


def test_langchain_tools_refuse_what_makes_no_sense(tmp_path: Path) -> None:
    """An unknown brand is a failed call that says what is known; a bad type never reaches the tool."""
    dataset = dataset_of(shopper_frame(1, 800), tmp_path)
    tool = next(tool for tool in as_langchain(dataset) if tool.name == "kpis")
    message = tool.invoke({"name": "kpis", "args": {"brands": ["Brandt 1"]}, "id": "1", "type": "tool_call"})
    assert message.status == "error"
    assert "did you mean 'Brand 1'" in message.content
    with pytest.raises(ValidationError, match="budget"):
        tool.invoke({"budget": -5})
