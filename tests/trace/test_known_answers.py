"""Traces with known answers: this room's own, and the golden ones where they are at hand."""

import json
from pathlib import Path

import pytest
from trace_cases import agrees

from swarmlab.trace.io import read_spans
from swarmlab.trace.summary import bottlenecks

OWN = Path(__file__).parent / "cases"
GOLDEN = Path(__file__).parents[2].parent / "shared" / "conformance"


def assert_known_answer(path):
    expected = json.loads(path.read_text(encoding="utf-8"))["expected"]
    found = bottlenecks(read_spans(path))
    wrong = {key: (found[key], value) for key, value in expected.items() if not agrees(found[key], value)}
    assert expected
    assert not wrong


@pytest.mark.parametrize("path", sorted(OWN.glob("*.json")), ids=lambda path: path.stem)
def test_own_cases(path):
    """Every expected figure of the room's own traces comes out to the nanosecond."""
    assert_known_answer(path)


@pytest.mark.skipif(not GOLDEN.is_dir(), reason="the golden traces lie beside the repository, not in it")
def test_golden_traces():
    """Every expected figure of every golden trace comes out to the nanosecond."""
    paths = sorted(GOLDEN.glob("*.json"))
    assert paths
    for path in paths:
        assert_known_answer(path)


def test_json_ready():
    """The summary survives a round trip through strict JSON unchanged."""
    found = bottlenecks(read_spans(OWN / "nested_path.json"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_root_alone():
    """A run without spans is its root's own time, with no calls and no longest span."""
    spans = read_spans(OWN / "nested_path.json")[:1]
    found = bottlenecks(spans)
    assert found["exclusive_s"] == found["critical_path_s"] == {"framework": 10.0}
    assert (found["n_calls"], found["mean_duration_s"], found["longest_span"]) == (0, None, None)
    assert found["max_concurrency"] == 0
