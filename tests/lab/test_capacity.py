"""Capacity experiments on queues with known answers: knee, users, limits, claims, and what lies on disk."""

import asyncio
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from lab_fakes import DATA
from queue_worlds import QueueWorld, exponential, latency_beyond, queue_worlds

from swarmlab.agents.levels import LEVELS, Level
from swarmlab.errors import SpecError, StoreError
from swarmlab.lab.load.arrivals import Request
from swarmlab.lab.load.capacity import Load, capacity, open_capacity, simulate_load
from swarmlab.lab.load.loops import Outcome
from swarmlab.lab.load.spec import CapacitySpec, load_capacity_spec
from swarmlab.models.profile import Profile

ROOT = Path(__file__).parents[2]


def by_level(seconds: dict[str, float], servers: int = 1) -> Callable[[Profile, Level, int], QueueWorld]:
    """Worlds in which a level's analyses take so long, exactly."""
    return lambda profile, level, seed: QueueWorld(servers, lambda request, draw: seconds[level.name], seed)


def simulated(make_world: Any, **fields: Any) -> Load:
    """Simulate a small spec."""
    small = {"users": 250, "levels": ["full"], "closed": {"users": [1, 2, 4, 8], "analyses": 30, "seeds": 1}}
    return simulate_load(CapacitySpec.model_validate(small | fields), make_world)


def test_the_knee_of_an_mmc_queue_is_where_theory_says() -> None:
    """Capacity within 15 % of the rate at which the 95th percentile of M/M/3 reaches the service level."""
    servers, mean_s, within_s = 3, 2.0, 15.0
    load = simulated(
        queue_worlds(servers, exponential(mean_s)),
        users=6000,
        timeout_s=1e5,
        slo={"latency_s": within_s},
        closed={"users": [1, 2, 4, 8], "analyses": 1000, "seeds": 1},
    )
    knee = load.answers["knees"][0]
    low, high = 0.1, servers / mean_s - 1e-6
    for _ in range(60):
        middle = (low + high) / 2
        beyond = latency_beyond(servers, middle, mean_s, within_s)
        low, high = (middle, high) if beyond < 0.05 else (low, middle)
    assert knee["met_per_h"] == pytest.approx(low * 3600, rel=0.15)
    assert knee["missed_per_h"] <= knee["met_per_h"] * 1.05
    most = load.steps.query("kind == 'closed'")["throughput_per_h"].max()
    assert most == pytest.approx(servers / mean_s * 3600, rel=0.15)


def test_users_follow_from_littles_law() -> None:
    """Users are the knee's rate times mean latency and think time."""
    load = simulated(by_level({"full": 2.0}), think_time_s=300, slo={"latency_s": 6})
    knee = load.answers["knees"][0]
    users = knee["met_per_h"] / 3600 * (knee["latency_mean_s"] + 300)
    assert knee["users"] == math.floor(users)
    assert 500 < knee["met_per_h"] < 1800


def test_a_level_that_is_too_slow_has_no_knee() -> None:
    """Where one analysis alone takes longer than the service level no rate keeps it, and that is said."""
    load = simulated(by_level({"full": 20.0}))
    knee = load.answers["knees"][0]
    assert (knee["met_per_h"], knee["users"]) == (None, None)
    assert "missed at every rate simulated" in knee["why"]


def test_given_rates_are_the_limit_of_what_is_told() -> None:
    """With rates of the user's own nothing is simulated or told beyond them."""
    load = simulated(by_level({"full": 2.0}), rates=[100, 200])
    assert list(load.steps.query("kind == 'open'")["rate_per_h"]) == [100, 200]
    knee = load.answers["knees"][0]
    assert (knee["met_per_h"], knee["missed_per_h"]) == (200, None)
    assert "nothing is known beyond 200" in knee["why"]


@pytest.mark.parametrize(("slow_s", "verdict"), [(10.0, "missed"), (41.0, "met")])
def test_the_claim_of_twenty_times_is_judged(slow_s: float, verdict: str) -> None:
    """Throughput of one server is one over the service time, so the ratio is known."""
    load = simulated(
        by_level({"full": 2.0, "blackboard": slow_s}), levels=["blackboard", "full"], advantage={}
    )
    sustained, within = load.answers["advantage"]
    assert sustained["times"] == pytest.approx(slow_s / 2, rel=0.01)
    assert (sustained["verdict"], sustained["n"], sustained["low"]) == (verdict, 1, None)
    if slow_s > 15:
        assert (within["verdict"], within["why"]) == (
            "no ratio",
            "blackboard: kept at no rate simulated",
        )
    else:
        assert within["times"] > 5


def test_several_seeds_give_a_ratio_its_interval() -> None:
    """Three seeds are three pairs, with an interval on the log scale, marked exploratory."""

    def make_world(profile: Profile, level: Level, seed: int) -> QueueWorld:
        return QueueWorld(2, exponential(2.0 if level.name == "full" else 12.0), seed)

    closed = {"users": [1, 2, 4, 8], "analyses": 500, "seeds": 3}
    load = simulated(
        make_world, levels=["blackboard", "full"], advantage={"times": 3}, seeds=3, closed=closed
    )
    ratio = load.answers["advantage"][0]
    assert (ratio["n"], ratio["why"]) == (3, "exploratory")
    assert ratio["low"] < ratio["times"] < ratio["high"]
    assert ratio["times"] == pytest.approx(6, rel=0.1)
    assert len(load.answers["knees"]) == 6
    assert load.steps["seed"].nunique() == 3


class TokenBucketWorld(QueueWorld):
    """One analysis takes a second and 1,000 tokens of a bucket that holds a minute's worth."""

    def __init__(self, profile: Profile) -> None:
        super().__init__(10**6, lambda request, draw: 1.0)
        per_minute = profile.limits.tokens_per_minute
        self._tokens_per_s = None if per_minute is None else per_minute / 60
        self._empty_at_s = 0.0

    async def run(self, request: Request) -> Outcome:
        """Take the tokens in the order of arrival, waiting until they are there."""
        if self._tokens_per_s is not None:
            now_s = self.clock.now_ns() / 1e9
            # The time at which a full bucket would have let this one pass, by the virtual scheduling rule.
            self._empty_at_s = max(self._empty_at_s, now_s - 60) + 1000 / self._tokens_per_s
            if self._empty_at_s > now_s:
                await self.clock.sleep(self._empty_at_s - now_s)
        return await super().run(request)


def test_the_limit_to_buy_is_what_the_analyses_take() -> None:
    """At 1,800 an hour of 1,000 tokens the least limit is 30,000 a minute, within 15 %."""
    load = simulated(
        lambda profile, level, seed: TokenBucketWorld(profile),
        users=2000,
        rates=[60],
        arrivals={"kind": "steady"},
        buy=[{"profile": "embedded-2core", "rate_per_h": 1800}],
        timeout_s=1e5,
    )
    bought = load.answers["purchases"][0]
    assert bought["tokens_per_minute"] == pytest.approx(30_000, rel=0.15)
    assert bought["too_little"]["tokens_per_minute"] < bought["tokens_per_minute"]
    assert bought["too_little"]["requests_per_minute"] is None
    assert bought["why"] is None


def test_no_limit_helps_a_machine_that_is_too_slow() -> None:
    """Missed without any limit, there is none to buy."""
    load = simulated(
        by_level({"full": 20.0}), rates=[60], buy=[{"profile": "embedded-2core", "rate_per_h": 60}]
    )
    assert load.answers["purchases"][0]["why"] == "missed without any limit"


def test_a_scalability_fit_stands_beside_its_steps() -> None:
    """One server is all contention: sigma is one, throughput flat, and no peak is told."""
    load = simulated(by_level({"full": 2.0}))
    fit = load.answers["scalability"][0]["fit"]
    assert fit["contention"]["value"] == pytest.approx(1)
    assert fit["per_user"]["value"] == pytest.approx(1800)
    assert fit["peak_users"]["value"] is None
    assert fit["largest_users"] == 8


def write_spec(folder: Path, text: str) -> Path:
    """A spec file."""
    path = folder / "load.yaml"
    path.write_text(text, encoding="utf-8")
    return path


SMALL = f"""
name: small
data: {DATA}
users: 250
levels: [blackboard, full]
repeat_rate: 0.3
arrivals: {{kind: bursts, size: 3}}
closed: {{users: [1, 2, 4, 8], analyses: 20, seeds: 2}}
buy: [{{profile: embedded-2core, rate_per_h: 300}}]
advantage: {{}}
"""


def fake_worlds(spec: CapacitySpec, dataset: Any) -> Any:
    """Levels that take five and one seconds, exponentially, on two servers."""
    seconds = {"blackboard": 5.0, "full": 1.0}
    return lambda profile, level, seed: QueueWorld(2, exponential(seconds[level.name]), seed)


FILES = (
    "capacity.csv",
    "users.parquet",
    "usl.json",
    "answers.json",
    "capacity.md",
    "spec.yaml",
    "manifest.json",
)


def test_what_is_on_disk_is_all_there_and_reconciles(tmp_path: Path) -> None:
    """Every file is there; requests add up to the steps; every figure says simulated and the profile."""
    said: list[str] = []
    spec = write_spec(tmp_path, SMALL)
    result = capacity(spec, make_worlds=fake_worlds, out=tmp_path, say=said.append)
    folder = tmp_path / "small"
    assert [name for name in FILES if not (folder / name).is_file()] == []
    users = pd.read_parquet(folder / "users.parquet")
    assert (result.steps["clock"] == "virtual").all()
    assert (result.steps["profile"] == "simulated:embedded-2core").all()
    assert len(said) == len(result.steps)
    counted = users[~users["warm_up"]].groupby("step").size()
    assert (counted == result.steps.set_index("step")["attempted"]).all()
    assert set(users["status"]) <= {"ok", "failed", "timeout"}
    for name in ("load-embedded-2core", "scalability-embedded-2core"):
        assert "simulated:embedded-2core" in (folder / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
    text = (folder / "capacity.md").read_text(encoding="utf-8")
    assert text.startswith("# Capacity: simulated")
    assert "30% of arrivals repeat an earlier analysis" in text
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["kind"], manifest["clock"], manifest["spec"]["users"]) == ("capacity", "virtual", 250)
    assert open_capacity(folder).as_dict() == result.as_dict()
    assert json.dumps(result.as_dict(), allow_nan=False)


def test_the_same_spec_gives_the_same_bytes(tmp_path: Path) -> None:
    """Tables, texts and figures of two simulations do not differ in a byte; also where a loop is running."""
    spec = write_spec(tmp_path, SMALL)

    async def under_a_loop() -> None:
        capacity(spec, make_worlds=fake_worlds, out=tmp_path / "b")

    capacity(spec, make_worlds=fake_worlds, out=tmp_path / "a")
    asyncio.run(under_a_loop())
    files = [path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()]
    assert len(files) == len(FILES) + 4
    for name in files:
        if name.name != "manifest.json":
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_spec_on_disk_runs_again(tmp_path: Path) -> None:
    """`spec.yaml` in the results is a spec, and the same one."""
    spec = write_spec(tmp_path, SMALL)
    capacity(spec, make_worlds=fake_worlds, out=tmp_path)
    again = load_capacity_spec(tmp_path / "small" / "spec.yaml")
    assert again.spec_id == load_capacity_spec(spec).spec_id


def test_results_of_another_experiment_are_not_written_over(tmp_path: Path) -> None:
    """A folder that holds runs is refused before anything is simulated."""
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "runs.parquet").write_bytes(b"")
    with pytest.raises(StoreError, match="holds the runs of another experiment"):
        capacity(write_spec(tmp_path, SMALL), make_worlds=fake_worlds, out=tmp_path)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    """Reading what is not there is a store error."""
    with pytest.raises(StoreError, match="no capacity results"):
        open_capacity(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("usres: 10", "field 'usres'"),
        (
            "users: yes",
            "field 'users': expected a number or a text, and YAML reads this as true or false",
        ),
        ("users: 20000", "field 'users': Input should be less than or equal to 10000"),
        ("users: 100", "a 95th percentile takes 200 requests"),
        ("slo: {percentile: 99}", "a 99th percentile takes 1000 requests"),
        ("rates: [10, 5]", "rates must ascend"),
        ("rates: []", "rates is empty"),
        ("rates: [-1]", "field 'rates.0'"),
        ("levels: [ful]", "did you mean 'full'"),
        ("levels: [full, full]", "level 'full' is listed twice"),
        ("profiles: [none-such]", "unknown profile 'none-such'"),
        ("buy: [{profile: none-such, rate_per_h: 1}]", "unknown profile 'none-such'"),
        ("limits: {groq: {tokens_per_minute: 1}}", "profile 'groq', which is not among 'profiles'"),
        ("repeat_rate: 1.5", "field 'repeat_rate'"),
        ("arrivals: {kind: waves}", "field 'arrivals'"),
        ("arrivals: {kind: trace, file: none.csv}", "none.csv cannot be read"),
        ("advantage: {level: partial}", "level 'partial', which is not among 'levels'"),
        ("closed: {users: [4, 2]}", "closed.users must ascend"),
        ("briefs: [{brief: none.yaml}]", "none.yaml cannot be read"),
        ("[1]", "expected a mapping"),
        ("a: [", "cannot be read"),
    ],
)
def test_a_mistake_in_the_spec_is_named_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    """A user's mistake is a SpecError (exit code 2) that names file and field, before anything runs."""
    path = write_spec(tmp_path, text)
    with pytest.raises(SpecError, match=r"load\.yaml") as caught:
        load_capacity_spec(path)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_files_that_a_spec_names_lie_beside_it(tmp_path: Path) -> None:
    """A trace and a brief are found from the spec's folder, and a trace without rates runs at its own."""
    (tmp_path / "t.csv").write_text("time_s\n" + "\n".join(str(n * 30) for n in range(260)), encoding="utf-8")
    (tmp_path / "b.yaml").write_text("audience: buyer\n", encoding="utf-8")
    spec = load_capacity_spec(
        write_spec(tmp_path, "arrivals: {kind: trace, file: t.csv}\nbriefs: [{brief: b.yaml, weight: 2}]\n")
    )
    assert spec.rates == (120.0,)
    assert spec.briefs[0].brief.audience == "buyer"


def test_the_command_lines_values_go_before_the_specs(tmp_path: Path) -> None:
    """An override replaces the field; None leaves it."""
    spec = load_capacity_spec(write_spec(tmp_path, SMALL), users=300, levels=None, advantage=None)
    assert (spec.users, len(spec.levels)) == (300, 2)


def test_what_is_asked_of_levels_that_are_left_out_goes(tmp_path: Path) -> None:
    """With one level on the command line there is no claim to test, with another profile nothing to buy."""
    path = write_spec(tmp_path, SMALL)
    narrow = load_capacity_spec(path, levels=["full"], profiles=["groq-llama-3.1-8b"], rates=["100", "200"])
    assert (narrow.advantage, narrow.buy, narrow.rates) == (None, (), (100.0, 200.0))
    assert load_capacity_spec(path, profiles=["embedded-2core"]).buy != ()


def test_limits_and_processors_replace_the_profiles() -> None:
    """A spec may give a profile other limits, and the tools another number of processors."""
    spec = CapacitySpec.model_validate(
        {"limits": {"embedded-2core": {"tokens_per_minute": 5}}, "tool_processors": 8}
    )
    profile = spec.profile("embedded-2core")
    assert profile.limits.tokens_per_minute == 5
    assert {costs.cores for costs in profile.tools.values()} == {8}


def test_the_shipped_experiment_is_valid() -> None:
    """`experiments/capacity.yaml` names profiles, levels and briefs that there are."""
    spec = load_capacity_spec(ROOT / "experiments" / "capacity.yaml")
    assert spec.advantage is not None
    assert {level.name for level in spec.levels} <= set(LEVELS)
