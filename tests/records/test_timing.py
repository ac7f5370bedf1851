"""Two clocks: a simulated duration says so and names its profile, and is in no figure with a measured one."""

from pathlib import Path

import pytest
from fake_results import make_failed, make_record, make_spans, write_fake_results
from pydantic import ValidationError
from rich.console import Console
from test_ledger import DESIGN, additive, ledger_of, make_runs

from swarmlab.records.collect import collect
from swarmlab.records.comparison import comparison
from swarmlab.records.contrast import contrast
from swarmlab.records.contrast_text import contrast_table
from swarmlab.records.ledger_text import ledger_groups
from swarmlab.records.plots import PLOTS, PlotOptions, plots_of
from swarmlab.records.predictions import (
    display_predictions,
    error_summary,
    outcomes_frame,
    predictions_frame,
    whatif_markdown,
)
from swarmlab.records.published import load_study
from swarmlab.records.render import (
    comparison_markdown,
    display_frame,
    display_steps,
    render_breakdown,
    render_table,
)
from swarmlab.records.report import publish
from swarmlab.records.store import StoredRun, write_run
from swarmlab.records.tables import build_tables, runs_frame
from swarmlab.records.timing import SIMULATED_ANSWERS, profile_name, timing, titled
from swarmlab.records.verdict import judge
from swarmlab.trace.spans import Span

SIMULATED = {"clock": "virtual", "model": "simulated:fake-profile", "profile": "fake-profile"}
SAID = "simulated: fake-profile"


def _runs(level: str, n: int = 1, **changes: object) -> list[StoredRun]:
    found = []
    for repeat in range(n):
        spans = make_spans(level, 1 + repeat / 50)
        record = make_record(spans, level=level, repeat=repeat, **changes)
        found.append(StoredRun(Path("nowhere"), record, tuple(spans)))
    return found


def _terminal(table: object) -> str:
    console = Console(width=120, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return " ".join(captured.get().split())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (("wall", "embedded:m", None), "measured"),
        ((None, None, None), "measured"),
        (("virtual", "simulated:p", None), "simulated: p"),
        (("virtual", "simulated:p", float("nan")), "simulated: p"),
        (("virtual", "simulated:/some/p.yaml", "p"), "simulated: p"),
        (("virtual", "fake", None), "simulated"),
    ],
)
def test_a_timing_names_the_profile(fields: tuple[object, object, object], said: str) -> None:
    """The recorded profile goes before the model's name, and without either it is still called simulated."""
    assert timing(*fields) == said


def test_only_a_simulated_model_has_a_profile() -> None:
    """A measured model's name holds none."""
    assert profile_name("openai:gpt") is None
    assert profile_name("simulated:") is None


@pytest.mark.parametrize("name", ["load_s", "other_cpu_share", "load1", "instrument_s"])
def test_a_simulated_record_has_nothing_of_the_machine(name: str) -> None:
    """A figure of the machine would make equal simulations differ, so the record refuses it."""
    spans = make_spans()
    with pytest.raises(ValidationError, match=name):
        make_record(spans, **SIMULATED, **{name: 0.0})
    assert make_record(spans, **SIMULATED).timing == SAID


def test_every_terminal_table_of_simulated_runs_says_so() -> None:
    """Comparison, breakdown and steps name the profile beside the level; of measured runs none does."""
    for changes, count in ((SIMULATED, 1), ({}, 0)):
        tables = build_tables(_runs("full", 2, **changes))
        for table in (render_table(tables["comparison"]), render_breakdown(tables["breakdown"])):
            assert _terminal(table).count(SAID) >= count
            assert ("simulated" in _terminal(table)) == bool(count)
        steps = display_steps(tables["steps"])
        assert ("Timing" in steps) == bool(count)
        assert titled("Comparison", tables["runs"]) == ("Comparison" + f" ({SAID})" * count)


def test_the_comparison_page_says_so_in_every_simulated_row() -> None:
    """The kind stands in each row even where all are alike, and made-up answers are called so."""
    runs = runs_frame(run.record for run in _runs("full", 2, **SIMULATED) + _runs("none", 2, **SIMULATED))
    shown = display_frame(comparison(runs))
    assert list(shown["Kind"]) == [SAID, SAID]
    assert shown["Tokens (prompt + completion)"].str.endswith("(simulated)").all()
    assert SIMULATED_ANSWERS in comparison_markdown(comparison(runs))


def test_the_two_clocks_are_never_in_one_row() -> None:
    """Of one level run on both clocks every table has two rows, with figures of one each, and no ratio."""
    wall, virtual = _runs("full", 3), _runs("full", 3, **SIMULATED, run_id="virtual-0")[:1]
    tables = build_tables([*wall, *virtual])
    rows = tables["comparison"].set_index("kind")
    assert rows.loc["simulated", "n"] == 1
    assert rows.loc["measured", "n"] == 3
    steps = tables["steps"].groupby("clock")["n"].first()
    assert steps.to_dict() == {"virtual": 1, "wall": 3}
    assert list(display_steps(tables["steps"])["Timing"]) == [SAID, "measured"]
    assert tables["breakdown"].groupby("clock")["n"].first().to_dict() == {"virtual": 1, "wall": 3}
    baseline = runs_frame([_runs("blackboard")[0].record, virtual[0].record])
    assert comparison(baseline).set_index("kind")["ratio"].isna()["simulated"]


def test_a_run_that_takes_no_virtual_time_has_no_ratio() -> None:
    """Served from a cache it may take none: the table says that, and prints no division by zero."""
    spans = [Span("run", None, (), "framework", "fake run", None, 0, 0)]
    record = make_record(spans, level="full", tokens_per_s=None, **SIMULATED)
    tables = build_tables(
        [*_runs("blackboard", **SIMULATED), StoredRun(Path("nowhere"), record, tuple(spans))]
    )
    row = tables["comparison"].set_index("level").loc["full"]
    assert "it took no time" in row["note"]
    page = comparison_markdown(tables["comparison"]) + display_steps(tables["steps"]).to_string()
    assert "nan" not in page
    assert "did the same work" not in page


def test_a_failed_simulated_run_is_in_its_level_s_row() -> None:
    """One that left no measurement counts among the attempted of the same profile."""
    good, failed = _runs("full", **SIMULATED)[0].record, make_failed("full", run_id="dead", **SIMULATED)
    (row,) = comparison(runs_frame([good, failed])).to_dict("records")
    assert (row["attempted"], row["succeeded"]) == (2, 1)


@pytest.mark.parametrize("name", ["breakdown", "gantt", "quality"])
def test_titles_of_figures_name_the_profile(name: str) -> None:
    """Whatever is drawn of simulated runs has the profile in its title."""
    tables = build_tables(_runs("full", 2, **SIMULATED))
    assert PLOTS[name](tables, PlotOptions()).get_suptitle().startswith(f"S{SAID[1:]}. ")


def test_the_quality_plot_has_one_clock_on_its_axis() -> None:
    """Where there are both, only measured runs are drawn."""
    tables = build_tables([*_runs("full"), *_runs("none", **SIMULATED)])
    figure = PLOTS["quality"](tables, PlotOptions())
    assert "imulated" not in figure.get_suptitle() + figure.axes[0].get_xlabel()
    assert [text.get_text() for text in figure.axes[0].texts] == ["full"]


def test_the_report_of_a_simulation_says_so_throughout(tmp_path: Path) -> None:
    """Title, summary, headings and each run's row name the profile; a virtual date is not shown."""
    write_fake_results(tmp_path, **SIMULATED)
    tables = publish(tmp_path, load_study())
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<title>Simulated: fake-profile. " in page
    assert f"{SAID}, on a virtual clock" in page
    assert f"<h2>Comparison ({SAID})</h2>" in page
    assert page.count(f"<td>{SAID}</td>") >= len(tables["runs"])
    assert "2001-01-01" not in page
    assert "nan" not in page
    for table in ("bottlenecks", "steps", "comparison", "runs"):
        header, first, *_ = (tmp_path / f"{table}.csv").read_text(encoding="utf-8").splitlines()
        assert "clock" in header
        assert "simulated:fake-profile" in first
    trace = next(tmp_path.glob("full/*/trace.json")).read_text(encoding="utf-8")
    assert f"fake run ({SAID})" in trace
    assert "waterfall" not in plots_of(tables)


def test_equal_simulations_leave_equal_bytes(tmp_path: Path) -> None:
    """Tables do not depend on the order in which runs came in, as they do from several processes."""
    for name, levels in (("one", ("none", "full")), ("two", ("full", "none"))):
        for level in levels:
            for repeat in (1, 0) if name == "two" else (0, 1):
                order = repeat * 2 + (level == "full")
                spans = make_spans(level, 1 + repeat / 10)
                record = make_record(spans, level=level, repeat=repeat, order=order, **SIMULATED)
                write_run(tmp_path / name, record, spans)
        collect(tmp_path / name)
    for file in (
        "runs.csv",
        "runs.parquet",
        "spans.parquet",
        "bottlenecks.csv",
        "steps.csv",
        "comparison.csv",
    ):
        one, two = ((tmp_path / name / file).read_bytes() for name in ("one", "two"))
        assert one == two


def test_a_contrast_of_simulated_runs_names_the_profile() -> None:
    """Title, seconds and note say simulated, and a drift of the machine is not spoken of."""
    sides = [runs_frame(run.record for run in _runs(level, 2, **SIMULATED)) for level in ("none", "full")]
    found = contrast(*sides, is_blocked=False)
    text = _terminal(contrast_table(found))
    assert SAID in text
    assert "simulated seconds, median" in text
    assert "drift" not in text


def test_a_simulation_certifies_nothing() -> None:
    """However clear the figures, the verdict is inconclusive for want of evidence on the real model."""
    runs = {
        level: runs_frame(run.record for run in _runs(level, 12, lossy_switches=(), **SIMULATED))
        for level in ("none", "full")
    }
    found = contrast(runs["none"], runs["full"], is_blocked=True)
    assert found.speed.low is not None
    assert found.speed.low > 1
    verdict = judge(found, 0.5, is_lossless=False)
    assert verdict.verdict == "inconclusive"
    assert SIMULATED_ANSWERS in verdict.reasons
    assert any(reason.startswith("in simulation ") for reason in verdict.reasons)
    assert (verdict.pairs_needed, verdict.works_needed) == (None, None)


def test_predictions_of_two_clocks_are_not_pooled() -> None:
    """Errors of simulated and of measured outcomes are summed up apart, and the table tells them apart."""
    rows = [
        {"kind": kind, "base": base, "changes": ["tool=2x"], "base_s": 4.0, "predicted_s": 3.0, "low_s": None,
         "high_s": None, "predicted_speedup": 4 / 3, **more}
        for kind, base, more in (("level", "full", {"timing": SAID}), ("graph", "g", {}))
    ]  # fmt: skip
    outcomes = {"full": [4.0], "full tool=2x": [3.2], "g": [4.0], "g tool=2x": [3.0]}
    frame = outcomes_frame(rows, outcomes)
    assert set(error_summary(frame)) == {"level", "graph"}
    assert set(display_predictions(frame)["timing"]) == {SAID, "measured"}
    assert whatif_markdown(frame).startswith(f"# Predictions and outcomes (measured; {SAID})")
    told = display_predictions(predictions_frame(rows[1:]))
    assert "timing" not in told
    assert set(error_summary(outcomes_frame(rows[1:], outcomes))) == {"all", "graph"}


def test_a_simulated_ledger_has_the_profile_in_its_name() -> None:
    """And the group of measured runs has its clock and model."""
    for changes, said in ((SIMULATED, f"cold cache, {SAID}"), ({}, "cold cache, wall clock, fake-model")):
        (name, _), *others = ledger_groups(ledger_of(make_runs(DESIGN, 1, additive, **changes)))
        assert name == said
        assert not others
