"""Calibration: rates, texts and tools are recovered where they are known, and bad sources are refused."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlab.agents.levels import LEVELS
from swarmlab.errors import SpecError, StoreError
from swarmlab.lab.api import plan
from swarmlab.lab.calibration.calibrate import Calibration, calibrate
from swarmlab.lab.calibration.fitted import fit_profile, write_profile
from swarmlab.lab.calibration.lengths import (
    ITEMS,
    LEAST,
    SETTINGS,
    WORDS,
    fit_lengths,
    mean_tokens,
    simulated_tokens,
)
from swarmlab.lab.calibration.prompts import prompts_of
from swarmlab.lab.calibration.rates import errors_frame, fit_jitter, fit_rates, unbiased_fit, with_fitted
from swarmlab.lab.calibration.runs import Measurements, read_measurements
from swarmlab.lab.calibration.spec import Known, Work, calibration_spec, load_calibration_spec
from swarmlab.lab.calibration.text import (
    FEATURES,
    count_texts,
    counted,
    fit_text,
    length_errors,
    text_errors,
    text_rows,
)
from swarmlab.lab.calibration.tools import READ, TOGETHER, fit_tools, time_tools, tool_errors
from swarmlab.lab.experiment import Cell
from swarmlab.lab.simulate import Simulator
from swarmlab.models import load_model
from swarmlab.models.profile import Lengths, TokenCount, load_profile
from swarmlab.models.text_tokens import text_features
from swarmlab.records.record import Record
from swarmlab.records.store import read_records, write_run
from swarmlab.tools import DEFAULT_PLAN
from swarmlab.trace.clock import VirtualClock

DATA = "beverage:2000"
KNOWN = Known(
    name="fitted", about="A test.", concurrency=1, prefix_cache={"kind": "slot"}, context_tokens=8192
)
TRUE_LENGTHS = Lengths(items=0.5, sentence_words=9, sentence_words_listed=15)
STEADY = {"jitter": {"kind": "none"}}


def _calls(n: int = 200, **spread: Any) -> pd.DataFrame:
    """Calls of a model that takes 0.03 s + n/300 (1 + 0.3 p) to prefill and m/80 (1 + 0.9 p) to decode."""
    draw = np.random.default_rng(7)
    prefill, cached = draw.integers(30, 2500, n), draw.integers(0, 90, n)
    written = draw.integers(5, 120, n)
    runs = np.arange(n) % 10
    factor = np.exp(
        draw.normal(0, spread.get("sigma", 0), n) + draw.normal(0, spread.get("run", 0), 10)[runs]
    )
    prefill_s = 0.03 + prefill / 300 * (1 + 0.3 * (cached + prefill / 2) / 1000)
    decode_s = (written - 1) / 80 * (1 + 0.9 * (prefill + cached + (written - 1) / 2) / 1000)
    return pd.DataFrame(
        {
            "experiment": "made-up",
            "run_id": [f"run-{run}" for run in runs],
            "level": "full",
            "agent": "data",
            "purpose": "draft",
            "prefill_tokens": prefill,
            "cached_tokens": cached,
            "decode_tokens": written,
            "prefill_s": prefill_s * factor,
            "decode_s": decode_s * factor,
        }
    )


@given(
    st.lists(st.floats(0.001, 10), min_size=3, max_size=3),
    st.lists(st.floats(0.8, 1.25), min_size=20, max_size=20),
)
def test_fitted_seconds_sum_to_the_measured_ones(factors: list[float], noise: list[float]) -> None:
    """Whatever the noise, errors of the fit cancel out over all calls."""
    amount = np.linspace(1, 50, 20)
    parts = np.c_[np.ones(20), amount, amount**2]
    measured = parts @ np.array(factors) * np.array(noise)
    assert (parts @ unbiased_fit(parts, measured)).sum() == pytest.approx(measured.sum(), rel=1e-3)


def test_known_rates_are_recovered() -> None:
    """Calls without noise give back the start, the rates and the slowdowns that they were made with."""
    rates = fit_rates(_calls())
    assert rates.time_to_first_token_s == pytest.approx(0.03, rel=1e-3)
    assert rates.prefill.tokens_per_s == pytest.approx(300, rel=1e-3)
    assert rates.prefill.slowdown_per_1000_tokens == pytest.approx(0.3, rel=1e-3)
    assert rates.decode.tokens_per_s == pytest.approx(80, rel=1e-3)
    assert rates.decode.slowdown_per_1000_tokens == pytest.approx(0.9, rel=1e-3)


def test_jitter_is_told_apart_into_calls_and_runs() -> None:
    """The spread of calls within a run and of runs are each recovered; without noise both are nothing."""
    calls = _calls(4000, sigma=0.1, run=0.05)
    jitter = fit_jitter(with_fitted(calls, fit_rates(calls)))
    assert jitter.sigma == pytest.approx(0.1, rel=0.1)
    assert 0.02 < jitter.run_sigma < 0.09
    steady = _calls()
    none = fit_jitter(with_fitted(steady, fit_rates(steady)))
    assert none.sigma < 1e-3
    assert none.run_sigma < 1e-3


def test_errors_are_told_by_purpose_level_and_run() -> None:
    """A perfect fit has no bias and an R² of one in every group."""
    calls = _calls()
    errors = errors_frame(with_fitted(calls, fit_rates(calls)))
    assert {"all calls", "purpose draft", "level full", "whole runs"} == set(errors["of"])
    assert errors["bias"].abs().max() < 1e-4
    assert errors["r2"].min() > 0.9999
    assert errors.loc[errors["of"] == "whole runs", "n"].unique().tolist() == [10]


@pytest.fixture(scope="module")
def truth_profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default profile without jitter, as a file."""
    profile = load_profile("").model_dump(mode="json") | STEADY | {"name": "truth"}
    path = tmp_path_factory.mktemp("profiles") / "truth.yaml"
    path.write_text(yaml.safe_dump(profile), encoding="utf-8")
    return path


def _cells(model: str, out: Path, repeats: int = 1, levels: Sequence[str] = tuple(LEVELS)) -> Sequence[Cell]:
    return plan(
        out=out, name="runs", levels=list(levels), data=DATA, model=model, repeats=repeats, cache="cold"
    ).cells


@pytest.fixture(scope="module")
def measured_folder(truth_profile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a simulated model that pass for measured ones, so that what is fitted is known."""
    folder = tmp_path_factory.mktemp("measured")
    simulator = Simulator()
    for cell in _cells(f"simulated:{truth_profile}", folder):
        record, run = simulator.run(cell)
        record = record.model_copy(update={"clock": "wall", "model": "embedded:made-up", "profile": None})
        assert run.answer is not None
        answer = {
            "notes": run.answer.as_dict()["notes"],
            "decisions": [{"id": name, "choice": choice} for name, choice in run.answer.choices.items()],
        }
        write_run(folder / "runs", record, run.spans, answer=answer)
    return folder / "runs"


@pytest.fixture(scope="module")
def measured(measured_folder: Path) -> Measurements:
    """What those runs say."""
    return read_measurements([measured_folder])


def test_measured_calls_are_read_with_their_cached_tokens(measured: Measurements) -> None:
    """Calls, answers and the framework's own time are found; each run's prompts add up to its record's."""
    calls = measured.calls
    assert set(calls["level"]) == set(LEVELS)
    assert {"decide", "draft", "summarise"} == set(calls["purpose"])
    assert measured.model == "embedded:made-up"
    assert measured.sources[0]["runs"] == len(LEVELS)
    assert {"call", "turn", "view", "result", "run"} <= set(measured.own["what"])
    assert {"decision", "contribution"} == set(measured.answers["title"])
    # A cached beginning is most of a decision's prompt after another decision.
    decides = calls[calls["purpose"] == "decide"]
    assert decides["cached_tokens"].max() > 50


def test_a_known_profile_is_found_again(measured: Measurements, truth_profile: Path) -> None:
    """Fitted to runs that a profile made, the rates and overheads are that profile's."""
    truth, rates = load_profile(str(truth_profile)), fit_rates(measured.calls)
    for phase in ("prefill", "decode"):
        told, known = getattr(rates, phase), getattr(truth, phase)
        assert told.tokens_per_s == pytest.approx(known.tokens_per_s, rel=0.05)
        middle = (told.seconds(200, 800), known.seconds(200, 800))
        assert middle[0] == pytest.approx(middle[1], rel=0.03)
    own = measured.own[measured.own["what"] == "call"]["seconds"]
    assert own.mean() == pytest.approx(truth.overhead.model_call_s, rel=0.05)


def _texts(answers_at: Lengths) -> tuple[pd.DataFrame, TokenCount]:
    """Prompts and answers that a made-up tokenizer counts by known weights, and those weights."""
    weights = TokenCount(
        per_word=0.6, per_letter=0.1, per_digit=1.2, per_symbol=0.7, per_line=1.1, per_message=5.5
    )
    works = [Work(data=DATA)]
    rows = []
    for _, asked in prompts_of(works, [LEVELS["full"], LEVELS["none"]]):
        rows += [{"work": "w", **row} for row in text_rows(asked)]
        holds = dict(zip(FEATURES, text_features(asked.answer(answers_at)), strict=True))
        rows.append({**rows[-1], "setting": "measured", **holds})
    texts = counted(pd.DataFrame(rows), weights)
    return texts.assign(tokens=texts.pop("counted")), weights


@pytest.fixture(scope="module")
def texts() -> tuple[pd.DataFrame, TokenCount]:
    """Texts of two levels, and answers to them that pass for measured ones."""
    return _texts(TRUE_LENGTHS)


def test_token_weights_and_lengths_are_recovered(
    texts: tuple[pd.DataFrame, TokenCount], measured: Measurements
) -> None:
    """Where a tokenizer is a sum, its counts are found; answers come out as long as the measured ones."""
    frame, weights = texts
    written = frame[frame["setting"] == "measured"].assign(decode_tokens=lambda part: part["tokens"].round())
    names = {"decision": "decide", "contribution": "draft", "board_summary": "summarise"}
    calls = pd.DataFrame(
        {
            "level": written["level"],
            "agent": "data",
            "purpose": written["title"].map(names),
            "prefill_tokens": range(len(written)),
            "decode_tokens": written["decode_tokens"],
        }
    )
    rest = frame[frame["setting"] != "measured"]
    text = fit_text(rest, Measurements(calls, measured.answers, measured.own, (), "embedded:made-up"))
    prompts = rest[rest["setting"] == "prompt"]
    error = counted(prompts, text.tokens)["counted"] / prompts["tokens"] - 1
    assert error.abs().max() < 0.002
    assert text.tokens.per_digit == pytest.approx(weights.per_digit, rel=0.1)
    assert text.lengths["default"] == text.lengths["contribution"]
    lengths = length_errors(rest, calls, text)
    # The kept answers are another profile's: items are theirs, and words make up for it within bounds.
    assert lengths.loc[lengths["title"] == "contribution", "bias"].abs().max() < 0.1
    assert set(text_errors(rest, measured.answers, text)["of"]) == {"prompts", "answers"}


@given(st.floats(6, 18), st.floats(6, 18), st.floats(0, 8), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_answers_come_out_as_long_as_those_measured(
    free: float, listed: float, spread: float, n_cites: int
) -> None:
    """Items are the kept answers', and words make up the rest, at wide and narrow bounds, listed or not."""
    rows, written, kept = [], [], []
    for level, least, most, is_list in (("a", 8, 25, 0), ("b", 4, 12, 0), ("c", 8, 25, 1), ("d", 4, 12, 1)):
        cut = {f"{n} words": 20 + 2 * min(max(n, least), most) for n in WORDS}
        told = {"level": level, "listed": bool(is_list), "n_items": 1}
        rows += [{**told, "setting": name, "counted": n} for name, n in cut.items()]
        rows.append({**told, "setting": ITEMS, "counted": cut[LEAST] + 40, "n_items": 5})
        drawn = (listed if is_list else free) + spread * np.linspace(-1, 1, 41)
        tokens = 20 + 2 * np.clip(drawn, least, most) + 10 * (n_cites - 1)
        written += [
            {"level": level, "agent": "x", "prefill_tokens": place, "decode_tokens": n}
            for place, n in enumerate(tokens)
        ]
        kept.append({"level": level, "text": json.dumps({"cites": ["id"] * n_cites, "finding": "So."})})
    answers, measured = pd.DataFrame(rows), pd.DataFrame(written)
    fitted = fit_lengths(answers, measured, pd.DataFrame(kept))
    assert fitted.items == pytest.approx((n_cites - 1) / 4)
    means = measured.groupby("level")["decode_tokens"].mean()
    assert (simulated_tokens(mean_tokens(answers), fitted) / means - 1).abs().max() < 0.03


def test_texts_of_other_levels_say_nothing_about_lengths(
    texts: tuple[pd.DataFrame, TokenCount], measured: Measurements
) -> None:
    """Runs and texts without a level in common are refused, not silently given a middle length."""
    other = Measurements(
        measured.calls.assign(level="other"), measured.answers, measured.own, measured.sources, measured.model
    )
    with pytest.raises(SpecError, match="no level and kind of answer in common"):
        fit_text(texts[0], other)


def test_prompts_are_those_of_the_agents_own_code() -> None:
    """Every level asks its drafts, decisions and summaries; the same call twice gives the same prompts."""
    asked = [call for _, call in prompts_of([Work(data=DATA)], list(LEVELS.values()))]
    drafts = {name: sum(c.level == name and c.title == "contribution" for c in asked) for name in LEVELS}
    assert drafts == {"blackboard": 6, "none": 3, "partial": 3, "full": 2}
    assert any(call.title == "board_summary" for call in asked)
    again = [call for _, call in prompts_of([Work(data=DATA)], [LEVELS["full"]])]
    assert again == [call for call in asked if call.level == "full"]
    draft = next(call for call in asked if call.title == "contribution")
    assert len(draft.answer(SETTINGS["25 words"])) > len(draft.answer(SETTINGS[LEAST]))


def test_only_an_embedded_model_tells_its_tokens() -> None:
    """A model whose tokenizer is not here is refused before anything is counted."""
    with pytest.raises(SpecError, match="calibrate an embedded model"):
        count_texts([], load_model("simulated", clock=VirtualClock()))


def _times(impls: Sequence[str] = ("baseline", "vectorized")) -> pd.DataFrame:
    """Timings of tools that take 10 ms and 50 ms a million rows; reading: 20 ms and 30 ms a million bytes."""
    rows = []
    for data, n in (("a", 100_000), ("b", 400_000), ("c", 1_400_000)):
        for impl in impls:
            told = {"data": data, "rows": n, "bytes": 8 * n, "impl": impl, "repeat": 0}
            read = {"what": READ, "seconds": 0.02 + 0.03 * 8 * n / 1e6}
            rows += [{**told, **read}] * (len(DEFAULT_PLAN) if impl == "baseline" else 1)
            rows += [{**told, "what": name, "seconds": 0.01 + 0.05 * n / 1e6} for name in DEFAULT_PLAN]
            lone = 4 * (0.01 + 0.05 * n / 1e6 + (read["seconds"] if impl == "baseline" else 0))
            rows.append({**told, "what": TOGETHER, "seconds": lone / (1.0 if impl == "baseline" else 1.6)})
    return pd.DataFrame(rows)


def test_known_costs_of_tools_are_recovered() -> None:
    """Starts, rates and the cores that calls at once can share come back as they were put in."""
    costs = fit_tools(_times())
    for impl, cores in (("baseline", 1.0), ("vectorized", 1.6)):
        assert costs[impl].cores == pytest.approx(cores, rel=1e-3)
        assert costs[impl].read.start_s == pytest.approx(0.02, rel=1e-3)
        assert costs[impl].read.per_million_s == pytest.approx(0.03, rel=1e-3)
        assert costs[impl].compute["kpis"].per_million_s == pytest.approx(0.05, rel=1e-3)
        assert costs[impl].compute["default"].start_s == pytest.approx(0.01, rel=1e-3)
    errors = tool_errors(_times(), costs)
    assert errors["bias"].abs().max() < 1e-3


def test_tools_are_timed_in_processes_of_their_own() -> None:
    """Each implementation gives a time for every tool, for reading, and for tools at once."""
    times = time_tools([DATA], 1)
    assert set(times["impl"]) == {"baseline", "vectorized"}
    assert set(times["what"]) == {*DEFAULT_PLAN, READ, TOGETHER}
    assert (times["seconds"] > 0).all()
    reads = times[times["what"] == READ].groupby("impl").size()
    assert reads.to_dict() == {"baseline": len(DEFAULT_PLAN), "vectorized": 1}


def _with_record(folder: Path, source: Path, **changes: Any) -> Path:
    """A results folder with one run of `source`, its record changed."""
    run = next(source.glob("*/*/spans.jsonl")).parent
    place = folder / run.parent.name / run.name
    place.mkdir(parents=True)
    for path in run.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    record = json.loads((run / "record.json").read_text(encoding="utf-8"))
    (place / "record.json").write_text(json.dumps({**record, **changes}), encoding="utf-8")
    return folder


def test_bad_sources_are_refused(measured_folder: Path, tmp_path: Path) -> None:
    """No runs, simulated runs, runs of another model and too few calls are each said by name."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="empty holds no runs that succeeded"):
        read_measurements([tmp_path / "empty"])
    with pytest.raises(StoreError, match="no results at"):
        read_measurements([tmp_path / "nowhere"])
    virtual = _with_record(tmp_path / "virtual", measured_folder, clock="virtual")
    with pytest.raises(StoreError, match="holds simulated runs"):
        read_measurements([virtual])
    other = _with_record(tmp_path / "other", measured_folder, model="embedded:another")
    with pytest.raises(StoreError, match="embedded:another and embedded:made-up"):
        read_measurements([measured_folder, other])
    few = _with_record(tmp_path / "few", measured_folder)
    with pytest.raises(StoreError, match="a profile needs at least 50"):
        read_measurements([few])


def test_a_damaged_answer_is_named(measured_folder: Path, tmp_path: Path) -> None:
    """An answer that is no JSON stops the calibration with its path, and is not passed over."""
    folder = _with_record(tmp_path / "damaged", measured_folder)
    answer = next(folder.glob("*/*/answer.json"))
    answer.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"answer\.json cannot be read"):
        read_measurements([folder])


def test_a_fitted_profile_can_be_used(
    texts: tuple[pd.DataFrame, TokenCount], measured: Measurements, tmp_path: Path
) -> None:
    """The written file loads, says what it was made from, and its numbers are the fit's to four digits."""
    frame = texts[0][texts[0]["setting"] != "measured"]
    fields, tables = fit_profile(KNOWN, measured, frame, _times())
    profile = write_profile(tmp_path / "fitted.yaml", fields)
    assert profile.kind == "calibrated"
    assert profile.calibration["n_calls"] == len(measured.calls)
    assert profile.calibration["sources"][0]["code_versions"]
    assert set(profile.calibration["formulas"]) == {"prefill_s", "decode_s", "fit"}
    rates = fit_rates(measured.calls)
    assert profile.decode.tokens_per_s == pytest.approx(rates.decode.tokens_per_s, rel=1e-3)
    assert set(profile.tools["vectorized"].compute) == {"default", *DEFAULT_PLAN}
    assert len(tables["calls"]) == len(measured.calls)


def _spec(folder: Path, measured_folder: Path, **changes: Any) -> Path:
    spec = {
        "name": "cal",
        "profile": KNOWN.model_dump(mode="json", exclude_defaults=True),
        "fit": [str(measured_folder)],
        "levels": ["none", "full"],
        "texts": [{"data": DATA}],
        "tools": {"data": ["beverage:1000", DATA], "repeats": 1},
        **changes,
    }
    path = folder / "cal.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fits": []}, "field 'fits'"),
        ({"texts": []}, "field 'texts'"),
        ({"levels": ["nowhere"]}, "nowhere"),
        ({"tools": {"data": [DATA]}}, "field 'tools.data'"),
        ({"held_out": {"works": [{"data": DATA}]}}, "is among the fit's texts"),
    ],
)
def test_a_bad_spec_is_refused(
    tmp_path: Path, measured_folder: Path, changes: dict[str, Any], message: str
) -> None:
    """An unknown field, nothing to fit to, and works that are not held out are named before anything runs."""
    with pytest.raises(SpecError, match=message):
        load_calibration_spec(_spec(tmp_path, measured_folder, **changes))


def test_the_shipped_spec_is_valid() -> None:
    """Its folders are found beside it, and its held-out works are held out."""
    spec = load_calibration_spec(calibration_spec())
    assert all(folder.is_dir() for folder in spec.fit)
    assert spec.held_out is not None
    assert len({work.name for work in spec.held_out.works}) == len(spec.held_out.works)


@pytest.fixture
def stages(
    tmp_path: Path,
    measured_folder: Path,
    truth_profile: Path,
    texts: tuple[pd.DataFrame, TokenCount],
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A spec whose texts and tools are made up, and whose runs are simulated in this process."""
    module = sys.modules[calibrate.__module__]
    frame = texts[0][texts[0]["setting"] != "measured"]
    monkeypatch.setattr(module, "_texts", lambda *_: frame)
    monkeypatch.setattr(module, "_times", lambda *_: _times())
    held_out = sys.modules["swarmlab.lab.calibration.held_out"]

    def run_cell(cell: Cell) -> Record:
        record, run = Simulator().run(cell)
        write_run(Path(cell.out), record, run.spans)
        return record

    monkeypatch.setattr(held_out, "run_cell", run_cell)
    works = [{"data": "beverage:3000", "seed": 5}]
    return _spec(
        tmp_path,
        measured_folder,
        model=f"simulated:{truth_profile}",
        held_out={"works": works, "repeats": 2, "draws": 3},
    )


def test_predictions_come_before_the_runs_that_test_them(stages: Path, tmp_path: Path) -> None:
    """The first call fits and predicts, the second runs and compares, a third changes nothing."""
    told = calibrate(stages, tmp_path / "out")
    assert told.stage == "predicted"
    assert not list(told.folder.glob("measured/*/*"))
    predictions = (told.folder / "predictions.json").read_text(encoding="utf-8")
    document = json.loads(predictions)
    assert document["profile"]["fingerprint"] == load_profile(str(told.profile)).fingerprint
    assert {row["level"] for row in document["predictions"]} == {"none", "full"}
    tested = calibrate(stages, tmp_path / "out")
    assert tested.stage == "tested"
    assert len(read_records(told.folder / "measured")) == 4
    frame = pd.read_csv(told.folder / "calibration.csv")
    assert len(frame) == 4
    again = calibrate(stages, tmp_path / "out")
    assert again.tables.keys() == tested.tables.keys()
    assert (told.folder / "predictions.json").read_text(encoding="utf-8") == predictions


def test_predictions_of_another_spec_are_not_put_to_the_test(stages: Path, tmp_path: Path) -> None:
    """A spec that has changed since it predicted is refused."""
    calibrate(stages, tmp_path / "out")
    document = yaml.safe_load(stages.read_text(encoding="utf-8"))
    document["held_out"]["repeats"] = 1
    stages.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(StoreError, match="made from another spec"):
        calibrate(stages, tmp_path / "out")


def test_a_fit_alone_predicts_nothing(stages: Path, tmp_path: Path) -> None:
    """With `fit_only` the profile is written, where it was asked for too, and no prediction is."""
    made: Calibration = calibrate(stages, tmp_path / "out", profile=tmp_path / "mine.yaml", fit_only=True)
    assert made.stage == "fitted"
    assert load_profile(str(tmp_path / "mine.yaml")).name == "fitted"
    assert not (made.folder / "predictions.json").exists()
    assert (made.folder / "figures" / "calls.svg").exists()
    assert [table.row_count > 0 for table in made.terminal_tables()] == [True] * 4


@settings(max_examples=20)
@given(st.floats(0.1, 3))
def test_the_fit_follows_the_machines_speed(factor: float) -> None:
    """On a machine that is so many times slower, every fitted second is that many times longer."""
    calls = _calls(60)
    slow = calls.assign(prefill_s=calls["prefill_s"] * factor, decode_s=calls["decode_s"] * factor)
    one, other = fit_rates(calls), fit_rates(slow)
    assert other.prefill.seconds(300, 50) == pytest.approx(factor * one.prefill.seconds(300, 50), rel=1e-3)
    assert other.decode.seconds(30, 500) == pytest.approx(factor * one.decode.seconds(30, 500), rel=1e-3)
