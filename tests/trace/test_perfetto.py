"""The Perfetto export: every span once, and nothing on one lane that overlaps without nesting."""

import json
from collections import defaultdict

from hypothesis import given, settings
from trace_cases import make, root, traces

from swarmlab.trace.perfetto import trace_events, write_perfetto


def complete_events(spans):
    return [event for event in trace_events(spans) if event["ph"] == "X"]


@settings(max_examples=250, deadline=None)
@given(traces())
def test_lanes_hold_only_nested_spans(spans):
    """Two events on a lane are apart, or one contains the other as its ancestor; each span is there once."""
    by_id = {span.span_id: span for span in spans}
    lanes = defaultdict(list)
    for event in complete_events(spans):
        lanes[event["tid"]].append(by_id[event["args"]["span_id"]])
    assert sorted(span.span_id for lane in lanes.values() for span in lane) == sorted(by_id)
    for lane in lanes.values():
        for index, first in enumerate(lane):
            for second in lane[index + 1 :]:
                apart = first.end_ns <= second.start_ns or second.end_ns <= first.start_ns
                inside = first.start_ns <= second.start_ns and second.end_ns <= first.end_ns
                assert apart or (inside and is_ancestor(first, second, by_id))


def is_ancestor(ancestor, span, by_id):
    while span.parent_id is not None:
        span = by_id[span.parent_id]
        if span is ancestor:
            return True
    return False


@given(traces())
def test_one_agent_a_lane(spans):
    """No lane holds spans of two agents, and every lane is named."""
    agent_of = {span.span_id: span.agent for span in spans}
    agents = defaultdict(set)
    for event in complete_events(spans):
        agents[event["tid"]].add(agent_of[event["args"]["span_id"]])
    named = {e["tid"] for e in trace_events(spans) if e["name"] == "thread_name"}
    assert all(len(lane) == 1 for lane in agents.values())
    assert named == set(agents)


def test_file(tmp_path):
    """The file holds microseconds since the root's start, and a second lane for a parallel call."""
    spans = [
        root(5_000, 1_000),
        make("g", "r", 1_000, 4_000, agent="analyst", category="coordination"),
        make("a", "g", 1_500, 3_000, agent="analyst", links=("g0",)),
        make("b", "g", 2_000, 4_000, agent="analyst"),
    ]
    write_perfetto(tmp_path / "trace.json", spans)
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    found = [(e["name"], names[e["tid"]], e["ts"], e["dur"]) for e in events if e["ph"] == "X"]
    assert found == [
        ("run", "run", 0.0, 4.0),
        ("g", "analyst", 0.0, 3.0),
        ("a", "analyst", 0.5, 1.5),
        ("b", "analyst (2)", 1.0, 2.0),
    ]
