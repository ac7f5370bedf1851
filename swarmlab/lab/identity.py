"""What a record says about its run before anything was measured; a run that died still has all of it."""

from typing import Any

from swarmlab.agents.levels import LEVELS, LOSSY_SWITCHES, Level
from swarmlab.lab.experiment import Cell
from swarmlab.models.identity import model_id


def identity(cell: Cell) -> dict[str, Any]:
    """Return the fields of a `Record` that follow from its cell alone."""
    return {
        "experiment": cell.experiment,
        "run_id": cell.run_id,
        "level": cell.level.name,
        "repeat": cell.repeat,
        "clock": "virtual" if cell.is_virtual else "wall",
        "model": model_id(cell.model),
        "profile": model_id(cell.model).partition(":")[2] if cell.is_virtual else None,
        "cache_state": cell.cache_state,
        "work_id": cell.work_id,
        "setting_id": cell.setting_id,
        "level_id": cell.level.switches_id,
        "data_name": cell.data_name,
        "data_fingerprint": cell.data_fingerprint,
        "cell_id": cell.cell_id,
        "seed": cell.seed,
        "pair": cell.repeat,
        "order": cell.order,
        "code_version": cell.code_version,
        "tool_choice": cell.brief.tool_choice,
        "roster": cell.level.roster,
        "lossy_switches": lossy_against_blackboard(cell.level),
    }


def lossy_against_blackboard(level: Level) -> tuple[str, ...]:
    """Return the switches that differ from blackboard's and may change the answer."""
    reference = LEVELS["blackboard"]
    return tuple(name for name in LOSSY_SWITCHES if getattr(level, name) != getattr(reference, name))
