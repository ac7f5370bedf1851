"""The brief: checked before anything starts, with errors that name the file and the field."""

from pathlib import Path
from typing import Any

import pytest

from swarmlab.agents.brief import Brief, load_brief
from swarmlab.errors import SpecError
from swarmlab.tools import DEFAULT_PLAN, Scope

GIVEN = {
    "analysis_type": "launch study",
    "budget": 5000,
    "campaign_type": "launch",
    "forecast_periods": 6,
    "goals": ["win the South"],
    "focus": {"brands": ["Alder Cola"], "categories": ["Cola"], "regions": ["South"]},
    "plan": ["kpis", "roi"],
}
YAML = """
analysis_type: launch study
budget: 5000
campaign_type: launch
forecast_periods: 6
goals: [win the South]
focus: {brands: [Alder Cola], categories: [Cola], regions: [South]}
plan: [kpis, roi]
"""


def test_without_a_brief_the_default_asks_for_every_tool() -> None:
    """The default plan is the twelve tools that any data allow, each once."""
    assert load_brief(None) == load_brief({}) == Brief()
    assert Brief().plan == DEFAULT_PLAN
    assert Brief().tool_choice == "planned"


def test_a_file_and_a_dict_give_the_same_brief(tmp_path: Path) -> None:
    """YAML by path, as string or Path, says the same as a dict; a brief stays itself."""
    path = tmp_path / "brief.yaml"
    path.write_text(YAML, encoding="utf-8")
    brief = load_brief(GIVEN)
    assert load_brief(path) == load_brief(str(path)) == brief
    assert load_brief(brief) is brief


def test_focus_and_settings_reach_the_tools() -> None:
    """All that a tool needs to know is in the scope."""
    assert load_brief(GIVEN).scope == Scope(
        brands=("Alder Cola",),
        categories=("Cola",),
        regions=("South",),
        forecast_periods=6,
        budget=5000.0,
        campaign_type="launch",
        goals=("win the South",),
    )


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"budget": 0}, ["'budget'", "greater than 0", "got 0"]),
        ({"budget": "much"}, ["'budget'", "'much'"]),
        ({"budget": float("inf")}, ["'budget'"]),
        ({"budget": float("nan")}, ["'budget'"]),
        ({"forecast_periods": 13}, ["'forecast_periods'", "12"]),
        ({"forecast_periods": 1.5}, ["'forecast_periods'"]),
        ({"campaign_type": "viral"}, ["'campaign_type'", "'awareness'", "'viral'"]),
        ({"analysis_type": ""}, ["'analysis_type'"]),
        ({"goals": "grow"}, ["'goals'"]),
        ({"bugdet": 5}, ["'bugdet'"]),
        ({"focus": {"brand": ["x"]}}, ["'focus.brand'"]),
        ({"tool_choice": "free"}, ["'tool_choice'"]),
        ({"plan": ["kpis", "kpi"]}, ["unknown tool 'kpi'", "market_overview"]),
        ({"plan": ["kpis", "kpis"]}, ["at most once"]),
        ({"plan": []}, ["at least one"]),
    ],
)
def test_a_bad_field_is_named_with_its_file(change: dict[str, Any], parts: list[str], tmp_path: Path) -> None:
    """From a dict or a file, the error names the field; from a file, the file too."""
    with pytest.raises(SpecError) as raised:
        load_brief(change)
    assert all(part in str(raised.value) for part in ("brief: ", *parts)), str(raised.value)
    path = tmp_path / "bad.yaml"
    field, value = next(iter(change.items()))
    shown = ".inf" if value == float("inf") else ".nan" if value != value else repr(value)
    path.write_text(f"{field}: {shown}\n", encoding="utf-8")
    with pytest.raises(SpecError, match=r"bad\.yaml"):
        load_brief(path)


@pytest.mark.parametrize("text", [None, "", "- a\n- b\n", "budget: [1\n", b"\xff\xfe\x00bad"])
def test_an_unreadable_file_is_named(text: str | bytes | None, tmp_path: Path) -> None:
    """Missing, empty, not a mapping, not YAML, not UTF-8: each names the file."""
    path = tmp_path / "brief.yaml"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SpecError, match=r"brief\.yaml"):
        load_brief(path)
