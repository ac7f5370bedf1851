"""Replays: a trace without changes comes out as it was, and changes with a known answer give it."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_cases import make, root, traces

from swarmlab.errors import SpecError
from swarmlab.trace.changes import Changes, parse_changes
from swarmlab.trace.check import check_spans
from swarmlab.trace.io import read_spans
from swarmlab.trace.prediction import predict
from swarmlab.trace.replay import replay
from swarmlab.trace.replay_costs import time_by_tokens
from swarmlab.trace.replay_plan import replay_plan
from swarmlab.trace.sharing import SharedProcessors, unshared_work
from swarmlab.trace.tree import span_tree

CONFORMANCE = sorted((Path(__file__).parents[3] / "shared" / "conformance").glob("*.json"))


def replayed(spans, *changes, **more):
    """Durations in nanoseconds under changes in the command line's words."""
    plan = replay_plan(span_tree(spans))
    return replay(plan, parse_changes(changes) if changes else Changes(), **more).durations_ns


def call(number, parent, start, queue, prefill, decode, **fields):
    """A model call with its phases, one after the other from `start`."""
    name = f"m{number}"
    times = [start, start + queue, start + queue + prefill, start + queue + prefill + decode]
    phases = [("model_queue", queue), ("model_prefill", prefill), ("model_decode", decode)]
    spans = [make(name, parent, start, times[3], category="framework", **fields)]
    for i, (category, length) in enumerate(phases):
        if length:
            tokens = prefill if category == "model_prefill" else None
            spans.append(
                make(f"{name}{category[6]}", name, times[i], times[i + 1], category=category, tokens=tokens)
            )
    return spans


def agents(*turns, end):
    """A run of agents, each with its own turn under the root."""
    spans = [root(end)]
    for name, start, stop, inside in turns:
        spans.append(make(name, "r", start, stop, category="coordination", agent=name, links=("start",)))
        spans.extend(inside)
    return spans


@settings(max_examples=300, deadline=None)
@given(traces())
def test_without_changes_a_trace_comes_out_as_it_was(spans):
    """Every start and end of any trace in which no call queued is found again to the nanosecond."""
    spans = [s for s in spans if s.category != "model_queue" or s.parent_id is None]
    kept = {s.span_id for s in spans}
    spans = [s for s in spans if s.parent_id is None or s.parent_id in kept]
    while len(kept) != len(spans):
        kept = {s.span_id for s in spans}
        spans = [s for s in spans if s.parent_id is None or s.parent_id in kept]
    tree = span_tree(spans)
    out = replay(replay_plan(tree), Changes())
    assert out.durations_ns == (tree.wall_ns,)
    assert out.spans == tree.spans


@settings(max_examples=100, deadline=None)
@given(traces(), st.integers(1, 3))
def test_any_replay_is_a_trace_and_ends(spans, concurrency):
    """Whatever the trace and the changes, every start and end is found and the outcome is a trace."""
    changes = Changes(
        speed={"tool": 2.0}, workers=2, remove_barriers=True, cores=1.5, slots=1, concurrency=concurrency
    )
    out = replay(replay_plan(span_tree(spans)), changes)
    check_spans(out.spans)
    assert len(out.durations_ns) == concurrency


@pytest.mark.parametrize("path", CONFORMANCE, ids=lambda path: path.stem)
def test_golden_traces_come_out_as_they_were(path):
    """The golden traces replay to their own wall time; without barriers to the one they state."""
    spans = read_spans(path)
    expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
    assert replayed(spans) == (round(expected["wall_s"] * 1e9),)
    if "wall_without_barriers_s" in expected:
        assert replayed(spans, "no-barriers") == (round(expected["wall_without_barriers_s"] * 1e9),)


def test_a_faster_part_shortens_what_waits_for_it_and_nothing_else():
    """A chain gets shorter by what its tool saves; beside a longer branch nothing is gained."""
    chain = [root(100), make("a", "r", 0, 60), make("b", "r", 60, 100, links=("a",), category="result")]
    assert replayed(chain, "a=2x") == (70,)
    assert replayed(chain, "tool=3x") == (60,)
    beside = [root(100), make("a", "r", 0, 60), make("b", "r", 0, 100, category="result")]
    assert replayed(beside, "tool=2x") == (100,)


def test_a_barrier_moves_with_the_branch_that_holds_it():
    """With a shorter branch in the way the held agent starts earlier, though the barrier stands."""
    spans = [
        root(190),
        make("a", "r", 0, 10),
        make("b", "r", 0, 100),
        make("a2", "r", 100, 190, links=("a",)),
    ]
    assert replayed(spans) == (190,)
    assert replayed(spans, "b=2x") == (140,)
    assert replayed(spans, "no-barriers") == (100,)


def test_tools_run_side_by_side_as_far_as_workers_go():
    """Calls that do not read each other overlap, those after them wait for the last."""
    spans = [root(100)]
    for number in range(4):
        links = (f"t{number - 1}",) if number else ()
        spans.append(make(f"t{number}", "r", number * 20, number * 20 + 20, links=links, reads=()))
    spans.append(make("end", "r", 80, 100, links=("t0", "t1", "t2", "t3"), category="result"))
    assert replayed(spans, "workers=1") == (100,)
    assert replayed(spans, "workers=2") == (60,)
    assert replayed(spans, "workers=9") == (40,)
    assert replayed(spans, "workers=4", "cores=2") == (60,)
    assert replayed(spans, "workers=4", "cores=1") == (100,)


def test_a_tool_that_reads_another_still_waits_for_it():
    """A link to a call that was read, or of which nothing is known, is a need whatever the workers."""
    for reads in (("t0",), None):
        spans = [root(40), make("t0", "r", 0, 20), make("t1", "r", 20, 40, links=("t0",), reads=reads)]
        assert replayed(spans, "workers=2") == (40,)


def test_the_model_serves_one_call_after_the_other():
    """Two calls that queued still take turns when they are faster; with two slots they do not wait."""
    spans = agents(
        ("a", 0, 100, call(1, "a", 0, 0, 60, 40)),
        ("b", 0, 200, call(2, "b", 0, 100, 60, 40)),
        end=200,
    )
    plan = replay_plan(span_tree(spans))
    assert plan.slots == 1
    assert replayed(spans) == (200,)
    assert replayed(spans, "model=2x") == (100,)
    assert replayed(spans, "slots=2") == (100,)
    queue = next(s for s in replay(plan, parse_changes(["model=2x"])).spans if s.span_id == "m2q")
    assert (queue.start_ns, queue.end_ns) == (0, 50)


def test_runs_at_once_share_the_model():
    """Three runs of one call each end after one, two and three calls."""
    spans = agents(("a", 0, 101, call(1, "a", 0, 1, 60, 40)), end=101)
    assert sorted(replayed(spans, "concurrency=3")) == [101, 201, 301]


def test_a_cached_call_takes_no_time_and_no_slot():
    """At a hit rate of 1 tools or model calls vanish; at 0 nothing changes."""
    spans = [root(120), make("t", "r", 0, 20), *call(1, "r", 20, 0, 60, 40)]
    told = [predict([spans], parse_changes([f"cache:{kind}=1"])).predicted_s for kind in ("tool", "model")]
    assert told == [pytest.approx(100e-9), pytest.approx(20e-9)]
    assert predict([spans], parse_changes(["cache=0"])).predicted_s == pytest.approx(120e-9)
    half = predict([spans], parse_changes(["cache:tool=0.5"]))
    assert half.low_s == pytest.approx(100e-9)
    assert half.high_s == pytest.approx(120e-9)


def test_a_shorter_context_shortens_the_prefills_that_were_longer():
    """Prefill time follows the run's own over tokens; shorter prompts stay as they were."""
    spans = [root(400), *call(1, "r", 0, 0, 100, 0), *call(2, "r", 100, 0, 300, 0)]
    assert replayed(spans, "context=200") == (300,)
    assert replayed(spans, "context=300") == (400,)


@given(st.lists(st.integers(1, 3000), min_size=3, unique=True), st.tuples(*[st.integers(0, 50)] * 3))
def test_time_by_tokens_finds_its_own_parts(lengths, parts):
    """Times made of a start, a part by the token and one by its square are found again at any length."""
    made = [(n, parts[0] + parts[1] * n + parts[2] * n * n / 1000) for n in lengths]
    time_of = time_by_tokens(made, 3)
    largest = max(time for _, time in made)
    assert [time_of(n) for n, _ in made] == pytest.approx(
        [time for _, time in made], abs=1e-6 * largest + 1e-9
    )


def test_fewer_agents_leave_their_tools_and_required_calls():
    """The first agent's words go, its tool and its decision stay."""
    first = [make("t", "a", 0, 10, agent="a"), *call(1, "a", 10, 0, 20, 10, agent="a")]
    second = call(2, "b", 40, 0, 20, 10, agent="b")
    spans = agents(("a", 0, 40, first), ("b", 40, 70, second), end=70)
    assert predict([spans], parse_changes(["agents=1"])).predicted_s == pytest.approx(40e-9)
    assert predict([spans], parse_changes(["agents=1"]), ("m1",)).predicted_s == pytest.approx(70e-9)
    assert predict([spans], parse_changes(["agents=2"])).predicted_s == pytest.approx(70e-9)


def test_several_runs_give_an_interval_of_their_spread():
    """The prediction is the median over the runs, its interval wider than their range when they are few."""
    runs = [[root(wall), make("t", "r", 0, wall)] for wall in (90, 100, 110)]
    told = predict(runs, parse_changes(["tool=2x"]))
    assert told.predicted_s == pytest.approx(50e-9)
    assert told.measured_s == pytest.approx(100e-9)
    assert told.low_s is not None
    assert told.high_s is not None
    assert told.low_s < 45e-9 < 55e-9 < told.high_s
    assert "3 runs" in told.interval


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "no change given"),
        (["faster"], "is not known"),
        (["tool=2"], "is not known"),
        (["tool=0x"], "above 0"),
        (["tool=-2x"], "not a number"),
        (["nope=2x"], "no category, tool or agent"),
        (["idle=2x"], "does not occur"),
        (["tool=2x", "tool=3x"], "given twice"),
        (["workers=0"], "1 or more"),
        (["workers=two"], "whole number"),
        (["cache=1.5"], "between 0 and 1"),
        (["cache:disk=0.5"], "cannot be cached"),
        (["context=100"], "how many tokens"),
        (["agents=3"], "has 0 agents"),
        (["slots=2"], "no model calls"),
        (["model=2x"], "no category, tool or agent"),
        (["no-barriers=1"], "is not known"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused(changes, message):
    """Each unknown or unfitting change is named with what is wrong about it."""
    spans = [root(10), make("t", "r", 0, 10)]
    with pytest.raises(SpecError, match=message):
        predict([spans], parse_changes(changes))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.floats(0.5, 4))
def test_shared_processors_do_all_the_work_and_no_more(works, cores):
    """Jobs that start together end as the water-filling rule has it, and their work is found again."""
    shared = SharedProcessors(cores)
    for job, work in enumerate(works):
        shared.add(job, work * 1_000_000, 0)
    ends = {}
    while (due := shared.next_end(max(ends.values(), default=0))) is not None:
        ends |= dict.fromkeys(shared.take_ended(due[0]), due[0])
    expected, attained, left = {}, 0, sorted(range(len(works)), key=lambda job: works[job])
    now = 0.0
    for place, job in enumerate(left):
        now += (works[job] - attained) / min(1.0, cores / (len(works) - place))
        attained = works[job]
        expected[job] = now * 1_000_000
    assert ends == {job: pytest.approx(end, abs=20) for job, end in expected.items()}
    spans = [root(max(ends.values())), *(make(f"t{job}", "r", 0, ends[job]) for job in ends)]
    alone = sorted(unshared_work(span_tree(spans), cores).values())
    assert alone == [pytest.approx(work * 1_000_000, abs=40) for work in sorted(works)]
