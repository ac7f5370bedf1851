"""The list of tools on the command line: what each needs, and whether some data allow it."""

import json
import sys

import pytest

from swarmlab.cli import main
from swarmlab.errors import SpecError
from swarmlab.lab import list_tools
from swarmlab.tools import TOOLS


def _run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["swarmlab", "tools", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    return capsys.readouterr().out


def test_all_tools_are_listed_with_what_they_need(monkeypatch, capsys) -> None:
    """Every tool of the catalogue is in the JSON with its definition; the table names them all."""
    listed = json.loads(_run(monkeypatch, capsys, "--json"))
    assert [one["name"] for one in listed] == list(TOOLS)
    assert all(one["definition"] and one["needs"] and one["is_available"] is None for one in listed)
    shown = _run(monkeypatch, capsys)
    assert all(name in shown for name in TOOLS)


def test_data_say_which_tools_they_allow(monkeypatch, capsys) -> None:
    """With --data each tool is available or names the missing columns."""
    listed = {
        one["name"]: one for one in json.loads(_run(monkeypatch, capsys, "--data", "beverage:1000", "--json"))
    }
    assert listed["kpis"]["is_available"]
    assert listed["rfm"]["missing"] == ["household_id"]
    shown = _run(monkeypatch, capsys, "--data", "beverage:1000")
    assert all(word in shown for word in ("household_id", "missing", "yes"))


def test_one_tool_is_shown_with_its_definition(monkeypatch, capsys) -> None:
    """A name shows the docstring, the columns and the table."""
    shown = _run(monkeypatch, capsys, "customer_churn")
    assert "Wilson" in shown
    assert "household_id" in shown
    assert "baskets of grocery" in shown


def test_an_unknown_tool_is_refused_with_the_nearest_name() -> None:
    """A misspelt name is the user's mistake, answered by what was meant."""
    with pytest.raises(SpecError, match="did you mean customer_churn"):
        list_tools("customer_chur")
