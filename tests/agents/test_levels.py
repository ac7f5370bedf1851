"""Levels are data: the presets are those of the design, and a definition changes switches of one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from swarmlab.agents.levels import CACHE_LAYERS, LEVELS, LOSSLESS_SWITCHES, LOSSY_SWITCHES, Level, make_level
from swarmlab.errors import SpecError

SWITCHES = ("roster", "context", "agent_schedule", "tool_schedule", "tool_impl", "cache", "output")
TABLE = {
    "blackboard": ("six", "blackboard", "sequential", "sequential", "baseline", (), "prose"),
    "none": ("three", "transcript", "sequential", "sequential", "baseline", (), "prose"),
    "partial": ("three", "transcript", "sequential", "parallel", "vectorized", ("tools",), "prose"),
    "full": ("two", "lightweight", "dataflow", "parallel", "vectorized", CACHE_LAYERS, "structured"),
}


def test_presets_are_those_of_the_design() -> None:
    """Four presets, each switch as the design's table has it."""
    found = {name: tuple(getattr(level, s) for s in SWITCHES) for name, level in LEVELS.items()}
    assert found == TABLE
    assert all(level.name == name for name, level in LEVELS.items())


def test_every_switch_is_lossless_or_lossy() -> None:
    """No switch is both or neither."""
    assert sorted(LOSSLESS_SWITCHES + LOSSY_SWITCHES) == sorted((*SWITCHES, "context_tokens"))
    assert set(Level.model_fields) == {"name", "context_tokens", *SWITCHES}


def test_a_level_is_frozen() -> None:
    """A level cannot change under a run."""
    with pytest.raises(ValidationError):
        LEVELS["full"].roster = "six"  # type: ignore[misc]


@pytest.mark.parametrize("name", LEVELS)
def test_a_preset_is_found_by_name(name: str) -> None:
    """A name, a level and a base without changes all resolve to the preset's switches."""
    assert make_level(name) is LEVELS[name]
    assert make_level(LEVELS[name]) is LEVELS[name]
    assert make_level({"name": name, "base": name}) == LEVELS[name]


def test_a_definition_changes_only_what_it_names() -> None:
    """Everything else comes from the base, and the base stays as it was."""
    level = make_level({"name": "partial-nocache", "base": "partial", "cache": []})
    assert level == LEVELS["partial"].model_copy(update={"name": "partial-nocache", "cache": ()})
    assert LEVELS["partial"].cache == ("tools",)


def test_a_definition_may_do_without_a_base() -> None:
    """Every switch given: no base needed."""
    assert make_level({"name": "own", **dict(zip(SWITCHES, TABLE["full"], strict=True))}).roster == "two"


@given(st.lists(st.sampled_from(CACHE_LAYERS)))
def test_cache_layers_are_a_set_in_one_order(layers: list[str]) -> None:
    """Order and repeats in a spec do not make another level."""
    cache = make_level({"name": "x", "base": "none", "cache": layers}).cache
    assert cache == tuple(layer for layer in CACHE_LAYERS if layer in layers)


@pytest.mark.parametrize(
    ("definition", "parts"),
    [
        ("blackbord", ["unknown level 'blackbord'", "did you mean 'blackboard'?", "known: blackboard, none"]),
        ({"name": "x", "base": "ful"}, ["unknown level 'ful'", "'full'"]),
        ({"name": "x", "base": "full", "cashe": []}, ["level 'x'", "'cashe'"]),
        ({"name": "x", "base": "full", "roster": "four"}, ["level 'x'", "'roster'", "'six'"]),
        ({"name": "x", "base": "full", "cache": ["disk"]}, ["level 'x'", "'cache.0'"]),
        ({"name": "x", "base": "full", "output": None}, ["'output'"]),
        ({"name": "x", "roster": "six"}, ["level 'x'", "'context'", "required"]),
        ({"name": "../x", "base": "full"}, ["'name'", "letters, digits"]),
        ({"name": "", "base": "full"}, ["'name'"]),
        ({"base": "partial", "cache": []}, ["(unnamed)", "'name'", "required"]),
        ({"name": "x", "base": 5}, ["base is a name", "5"]),
    ],
)
def test_a_bad_definition_is_named(definition: object, parts: list[str]) -> None:
    """The error tells the level, the switch and what is known."""
    with pytest.raises(SpecError) as raised:
        make_level(definition)  # type: ignore[arg-type]
    assert all(part in str(raised.value) for part in parts), str(raised.value)
