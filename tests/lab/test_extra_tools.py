"""Briefs that plan tools beyond the default: run with their facts required, or refused beforehand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lab_fakes import cell_of

from swarmlab import lab
from swarmlab.errors import SpecError
from swarmlab.lab import measure
from swarmlab.records.store import run_folder

PLAN = ("kpis", "customer_churn", "rfm", "coupon_lift", "basket_affinity", "brand_health", "data_profile")


def _sales_file(folder: Path) -> str:
    rng = np.random.default_rng(1)
    n = 1500
    frame = pd.DataFrame(
        {
            "sale_date": pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 200, n), unit="D"),
            "brand": rng.choice(["Alder", "Boreal"], n),
            "category": rng.choice(["Tea", "Cola"], n),
            "units_sold": rng.integers(1, 5, n),
            "total_revenue": rng.integers(100, 900, n) / 100,
            "household_id": rng.integers(1, 60, n),
            "basket_id": rng.integers(1, 500, n),
            "coupon_value": rng.choice([0.0, 0.5], n),
        }
    )
    frame.to_csv(folder / "sales.csv", index=False)
    return str(folder / "sales.csv")


@pytest.mark.usefixtures("chat")
@pytest.mark.parametrize("level", ["blackboard", "full"])
def test_planned_tools_are_run_and_their_facts_required(tmp_path: Path, level: str) -> None:
    """Each planned tool is called once, its true facts are among the required ones, and all are found."""
    cell = cell_of(tmp_path / "out", data=_sales_file(tmp_path), level=level, brief={"plan": list(PLAN)})
    record = measure(cell)
    assert (record.error, record.n_tool_calls, record.fact_coverage) == (None, len(PLAN), 1.0)
    folder = run_folder(Path(cell.out), cell.level.name, cell.run_id)
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    required = {key.partition(".")[0] for key in answer["required_facts"]}
    assert required == set(PLAN)
    assert "## Customer churn" in (folder / "answer.md").read_text(encoding="utf-8")


def test_a_plan_that_the_data_do_not_allow_is_refused_before_the_run(tmp_path: Path) -> None:
    """Exit code 2, with the tool, the missing column and the file named; nothing is written."""
    with pytest.raises(SpecError, match=r"customer_churn.*household_id.*beverage") as refused:
        lab.plan(
            out=tmp_path / "out",
            levels=["full"],
            data="beverage:1000",
            model="simulated",
            brief={"plan": ["kpis", "customer_churn"]},
        )
    assert refused.value.exit_code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("chat")
def test_a_cell_by_hand_is_checked_too(tmp_path: Path) -> None:
    """A cell that was not planned meets the same check when it is measured."""
    with pytest.raises(SpecError, match="rfm, which needs column household_id"):
        measure(cell_of(tmp_path, brief={"plan": ["rfm"]}))
