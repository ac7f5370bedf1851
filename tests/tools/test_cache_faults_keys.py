"""Keys as the agents build them: another as soon as one input is another, the same for the same inputs."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from inspect import signature
from types import SimpleNamespace
from typing import Any, get_args
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmlab.agents.brief import Brief, Focus
from swarmlab.agents.calls import _call_key
from swarmlab.agents.levels import CACHE_LAYERS, Level
from swarmlab.agents.questions import Question
from swarmlab.agents.swarm import _analysis_key
from swarmlab.agents.turn import _tool_key
from swarmlab.tools import TOOLS
from swarmlab.tools.cache import Cache
from swarmlab.tools.scope import Scope

Inputs = Mapping[str, st.SearchStrategy[Any]]

TEXT = st.text(max_size=6)
NAMES = st.lists(TEXT, max_size=3).map(tuple)
HASH = st.text("0123456789abcdef", min_size=8, max_size=8)
MONEY = st.floats(1, 1e9, allow_nan=False)

SCOPE: Inputs = {
    "brands": NAMES,
    "categories": NAMES,
    "regions": NAMES,
    "forecast_periods": st.integers(1, 24),
    "budget": MONEY,
    "campaign_type": TEXT,
    "goals": NAMES,
}
TOOL: Inputs = {
    "name": st.sampled_from(sorted(TOOLS)),
    "impl": st.sampled_from(("baseline", "vectorized")),
    **{f"scope.{name}": drawn for name, drawn in SCOPE.items()},
    "data": HASH,
    "code_version": HASH,
}
CALL: Inputs = {
    "system": TEXT,
    "user": TEXT,
    "schema": TEXT,
    "model": TEXT,
    "model_hash": st.none() | HASH,
    "seed": st.integers(0, 2**32),
    "writes": st.booleans(),
    "code_version": HASH,
}
PHRASE = st.text("abc é,", min_size=1, max_size=6)
FOCUS: Inputs = {"brands": NAMES, "categories": NAMES, "regions": NAMES}
BRIEF: Inputs = {
    "analysis_type": PHRASE,
    "audience": PHRASE,
    "budget": MONEY,
    "campaign_type": st.sampled_from(get_args(Brief.model_fields["campaign_type"].annotation)),
    "forecast_periods": st.integers(1, 12),
    "goals": NAMES,
    **{f"focus.{name}": drawn for name, drawn in FOCUS.items()},
    "plan": st.lists(st.sampled_from(sorted(TOOLS)), min_size=1, max_size=3, unique=True).map(tuple),
    "tool_choice": st.sampled_from(get_args(Brief.model_fields["tool_choice"].annotation)),
}
SWITCHES: Inputs = {
    name: st.none() | st.integers(1, 500)
    if name == "context_tokens"
    else st.sampled_from(get_args(field.annotation))
    for name, field in Level.model_fields.items()
    if name not in ("name", "cache")
}
QUESTION: Inputs = {"id": TEXT, "topic": TEXT, "text": TEXT, "options": NAMES, "funding": st.booleans()}
ANALYSIS: Inputs = {
    **{f"brief.{name}": drawn for name, drawn in BRIEF.items()},
    **{f"level.{name}": drawn for name, drawn in SWITCHES.items()},
    "data": HASH,
    "companions": HASH,
    "model": TEXT,
    "model_hash": st.none() | HASH,
    "questions": st.lists(st.builds(Question, **QUESTION), max_size=2).map(tuple),
    "faults": st.frozensets(TEXT, max_size=2),
    "seed": st.integers(0, 2**32),
    "code_version": HASH,
}


def _part(inputs: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The inputs of one part, by their names in it."""
    return {
        path.removeprefix(f"{name}."): value for path, value in inputs.items() if path.startswith(f"{name}.")
    }


def _key_of_tool(inputs: Mapping[str, Any]) -> str:
    names = ("name", "impl", "data", "code_version")
    return _tool_key(**{name: inputs[name] for name in names}, scope=Scope(**_part(inputs, "scope")))


def _key_of_call(inputs: Mapping[str, Any]) -> str:
    return _call_key(**inputs)


def _key_of_analysis(inputs: Mapping[str, Any], name: str = "full", cache: tuple[str, ...] = ()) -> str:
    brief = _part(inputs, "brief")
    rest = {path: value for path, value in brief.items() if not path.startswith("focus.")}
    run = SimpleNamespace(
        brief=Brief(**rest, focus=Focus(**_part(brief, "focus"))),
        level=Level(name=name, cache=cache, **_part(inputs, "level")),
        dataset=SimpleNamespace(fingerprint=inputs["data"], companions=inputs["companions"]),
        model=SimpleNamespace(id=inputs["model"], file_hash=inputs["model_hash"]),
        **{path: inputs[path] for path in ("questions", "faults", "seed", "code_version")},
    )
    # What lies beside the sales on disk, without a disk.
    with patch("swarmlab.agents.swarm.companion_key", lambda dataset, table: f"{table} {dataset.companions}"):
        return _analysis_key(run)


KEYS: dict[str, tuple[Inputs, Callable[[Mapping[str, Any]], str]]] = {
    "tools": (TOOL, _key_of_tool),
    "completions": (CALL, _key_of_call),
    "analyses": (ANALYSIS, _key_of_analysis),
}


@pytest.mark.parametrize("layer", KEYS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_one_input_changed_is_a_miss_and_the_same_inputs_are_a_hit(
    layer: str, data: st.DataObject
) -> None:
    """Each input in turn takes another value: never the stored answer; the inputs anew: the stored answer."""
    inputs, key_of = KEYS[layer]
    asked = data.draw(st.fixed_dictionaries(dict(inputs)))
    cache = Cache(None, (layer,))
    cache.put(layer, key_of(asked), "answer")
    for name, values in inputs.items():
        other = data.draw(values.filter(lambda value, name=name: value != asked[name]), name)
        assert cache.get(layer, key_of({**asked, name: other})) is None, name
    assert cache.get(layer, key_of(dict(asked))) == "answer"
    assert (cache.misses[layer], cache.hits[layer]) == (len(inputs), 1)


def test_every_input_there_is_is_among_those_changed() -> None:
    """A field that is added to what an answer depends on must be added here, and so to the key."""
    assert set(SCOPE) == {field.name for field in fields(Scope)}
    assert {path.split(".")[0] for path in TOOL} == set(signature(_tool_key).parameters)
    assert set(CALL) == set(signature(_call_key).parameters)
    assert {path.split(".")[0] for path in BRIEF} == set(Brief.model_fields)
    assert set(FOCUS) == set(Focus.model_fields)
    assert set(SWITCHES) == set(Level.model_fields) - {"name", "cache"}
    assert set(QUESTION) == {field.name for field in fields(Question)}


@settings(deadline=None, max_examples=20)
@given(asked=st.fixed_dictionaries(dict(ANALYSIS)), data=st.data())
def test_what_a_level_is_called_and_caches_does_not_change_its_answer(
    asked: dict[str, Any], data: st.DataObject
) -> None:
    """Two levels of the same switches share their analyses."""
    layers = data.draw(st.sets(st.sampled_from(CACHE_LAYERS)))
    assert _key_of_analysis(asked) == _key_of_analysis(asked, "another", tuple(layers))


@given(first=st.fixed_dictionaries(dict(QUESTION)), name=st.sampled_from(sorted(QUESTION)), data=st.data())
def test_a_question_changed_in_any_field_is_another_analysis(
    first: dict[str, Any], name: str, data: st.DataObject
) -> None:
    """The exam is part of what is answered, to the last of its options."""
    other = {**first, name: data.draw(QUESTION[name].filter(lambda value: value != first[name]))}
    keys = {_key_of_analysis({**_PLAIN, "questions": (Question(**each),)}) for each in (first, other)}
    assert len(keys) == 2


_PLAIN: dict[str, Any] = {
    **{f"brief.{name}": value for name, value in Brief().model_dump().items() if name != "focus"},
    **{f"brief.focus.{name}": () for name in FOCUS},
    "level.roster": "two",
    "level.context": "lightweight",
    "level.context_tokens": None,
    "level.agent_schedule": "dataflow",
    "level.tool_schedule": "parallel",
    "level.tool_impl": "vectorized",
    "level.output": "structured",
    "data": "d",
    "companions": "t",
    "model": "m",
    "model_hash": None,
    "questions": (),
    "faults": frozenset(),
    "seed": 0,
    "code_version": "c",
}
