"""Alert rules: thresholds, written as YAML, that mark a run in every table."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from swarmlab.errors import SpecError, first_problem
from swarmlab.records.record import Record, column_kinds
from swarmlab.trace.yaml_text import parse_yaml

__all__ = ["SHIPPED_RULES", "AlertRule", "fired", "load_rules", "with_alerts"]

SHIPPED_RULES = Path(__file__).with_name("alerts.yaml")


class AlertRule(BaseModel):
    """One threshold on one numeric column of `runs`."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
    metric: str
    comparison: Literal["above", "below"]
    threshold: float
    message: Annotated[str, Field(min_length=1)]

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        known = _numeric_columns()
        if metric not in known:
            raise ValueError(f"{metric!r} is not a numeric column of runs; known: {', '.join(known)}")
        return metric

    def fires_on(self, record: Record) -> bool:
        """Say whether the run crosses the threshold; a value that was not measured does not."""
        value = getattr(record, self.metric)
        if value is None:
            return False
        return bool(value > self.threshold if self.comparison == "above" else value < self.threshold)


def load_rules(path: Path | None = None) -> tuple[AlertRule, ...]:
    """Read and check alert rules.

    Parameters
    ----------
    path
        A YAML list of rules; None for the rules shipped with swarmlab.

    Raises
    ------
    SpecError
        The file cannot be read or a rule is wrong; names the file, the rule and the field.
    """
    return _shipped_rules() if path is None else _read_rules(path)


def fired(record: Record, rules: Sequence[AlertRule]) -> tuple[str, ...]:
    """Return the names of the rules that the run breaks, in the rules' order."""
    return tuple(rule.name for rule in rules if rule.fires_on(record))


def with_alerts(record: Record, rules: Sequence[AlertRule]) -> Record:
    """Return the record with its `alerts` filled in."""
    return record.model_copy(update={"alerts": fired(record, rules)})


@lru_cache(maxsize=1)
def _shipped_rules() -> tuple[AlertRule, ...]:
    """Part of the package, and so the same for every run of a process."""
    return _read_rules(SHIPPED_RULES)


def _read_rules(source: Path) -> tuple[AlertRule, ...]:
    try:
        content = parse_yaml(source.read_text(encoding="utf-8"))
        rules = TypeAdapter(tuple[AlertRule, ...]).validate_python(content if content is not None else ())
    except OSError as error:
        raise SpecError(f"cannot read alert rules {source}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(f"{source} is not YAML: {error}") from error
    except ValidationError as error:
        raise SpecError(f"{source}: {first_problem(error)}") from error
    names = [rule.name for rule in rules]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"{source}: rule {twice[0]!r} is there twice")
    return rules


def _numeric_columns() -> list[str]:
    return [name for name, kind in column_kinds().items() if kind in ("integer", "number")]
