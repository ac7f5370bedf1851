"""`swarmlab capacity`: what a load does to a simulated machine, and how much of it the machine can bear."""

import html
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from matplotlib.figure import Figure
from rich.table import Table

from swarmlab.data import Dataset, open_dataset
from swarmlab.errors import StoreError
from swarmlab.lab.load.answers import advantage, knees, purchase, scalability
from swarmlab.lab.load.spec import CapacitySpec, capacity_spec, load_capacity_spec
from swarmlab.lab.load.steps import MakeWorld, Say, Steps, silent
from swarmlab.lab.load.world import simulated_worlds
from swarmlab.lab.simulate import lean_memory
from swarmlab.lab.version import code_version
from swarmlab.records.atomic import replacing, write_text
from swarmlab.records.load_plots import LOAD_PLOTS
from swarmlab.records.load_tables import STEP_COLUMNS
from swarmlab.records.load_text import answer_tables, capacity_markdown
from swarmlab.records.manifest import environment, write_manifest
from swarmlab.records.plots import write_figure
from swarmlab.records.render import frame_table
from swarmlab.records.store import check_writable, json_text

STEPS, REQUESTS, ANSWERS, USL, TEXT, SPEC = (
    "capacity.csv",
    "users.parquet",
    "answers.json",
    "usl.json",
    "capacity.md",
    "spec.yaml",
)
ANSWERED = ("scalability", "knees", "purchases", "advantage")
_PACKAGES = ("swarmlab", "langgraph", "langchain-core", "numpy", "pandas", "pyarrow", "scipy", "matplotlib")


MakeWorlds = Callable[[CapacitySpec, Dataset], MakeWorld]


@dataclass(frozen=True)
class Load:
    """What was simulated and what it answers; nothing of it is on disk yet."""

    steps: pd.DataFrame
    requests: pd.DataFrame
    answers: Mapping[str, list[dict[str, Any]]]
    """Each of `ANSWERED`, a list ready for JSON."""


@dataclass(frozen=True)
class Capacity:
    """Results of a capacity experiment; everything in it was read from `folder`."""

    folder: Path
    steps: pd.DataFrame
    answers: Mapping[str, list[dict[str, Any]]]

    @property
    def knees(self) -> pd.DataFrame:
        """Where each level first misses the service level: one row a profile, level and seed."""
        return pd.DataFrame(self.answers["knees"])

    def figure(self, name: str, profile: str) -> Figure:
        """Draw one of `LOAD_PLOTS` (`load`, `scalability`) of a profile, named as in the tables."""
        return LOAD_PLOTS[name](self.steps, self.answers, profile)

    def as_dict(self) -> dict[str, Any]:
        """Return answers and steps ready for JSON."""
        steps = json.loads(self.steps.to_json(orient="records", double_precision=15))
        return {**self.answers, "steps": steps}

    def terminal_tables(self) -> list[Table]:
        """Return the answers for `rich`; the steps, too wide for a terminal, are in `capacity.csv`."""
        tables = answer_tables(self.steps, self.answers)
        shown = {title: frame for title, frame in tables.items() if title != "Steps" and len(frame)}
        return [frame_table(frame, title=title) for title, frame in shown.items()]

    def __repr__(self) -> str:
        profiles = ", ".join(self.steps["profile"].unique())
        return f"<swarmlab.Capacity {self.folder.name}: {len(self.steps)} steps on {profiles}>"

    def _repr_html_(self) -> str:
        parts = [
            f"<h4>{html.escape(title)}</h4>"
            + frame.to_html(index=False, border=0, table_id=f"swarmlab-capacity-{place}")
            for place, (title, frame) in enumerate(answer_tables(self.steps, self.answers).items())
            if len(frame)
        ]
        return f"<p>{html.escape(repr(self))}</p>{''.join(parts)}"


def capacity(
    spec_path: str | Path | None = None,
    *,
    make_worlds: MakeWorlds = simulated_worlds,
    out: str | Path = "results",
    say: Say = silent,
    **overrides: Any,
) -> Capacity:
    """Simulate a capacity experiment and write its results.

    Parameters
    ----------
    spec_path
        YAML of a `CapacitySpec`; None for `experiments/capacity.yaml`.
    out
        Parent of the experiment's results folder.
    say
        Called with a line for each step.
    make_worlds
        Makes the worlds of the steps; simulated machines by default.
    **overrides
        Fields of `CapacitySpec`; None leaves the spec's value.

    Raises
    ------
    UserError
        Spec, profile, trace, data or results folder cannot be used; says which and what to do.
    """
    path = capacity_spec() if spec_path is None else Path(spec_path)
    spec = load_capacity_spec(path, **overrides)
    dataset = open_dataset(spec.data)
    folder = Path(out).expanduser().resolve() / spec.name
    if (folder / "runs.parquet").exists():
        raise StoreError(f"{folder} holds the runs of another experiment; give this one another name")
    check_writable(folder)
    load = simulate_load(spec, make_worlds(spec, dataset), say)
    write_load(folder, spec, dataset, load)
    return open_capacity(folder)


def simulate_load(spec: CapacitySpec, make_world: MakeWorld, say: Say = silent) -> Load:
    """Simulate every step that a spec asks for, and those that the searches need.

    Parameters
    ----------
    spec
        What to simulate.
    make_world
        Makes the world of one step.
    say
        Called with a line for each step.
    """
    steps = Steps(spec, make_world, say)
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in ANSWERED}
    with lean_memory():
        for name in spec.profiles:
            profile = spec.profile(name)
            for level in spec.levels:
                answers["scalability"].append(scalability(spec, steps, profile, level))
                answers["knees"] += knees(spec, steps, profile, level)
            answers["advantage"] += advantage(spec, steps.steps, answers["knees"], profile)
        answers["purchases"] += [purchase(spec, steps, asked) for asked in spec.buy]
    return Load(steps.steps, steps.requests, answers)


def write_load(folder: Path, spec: CapacitySpec, dataset: Dataset, load: Load) -> None:
    """Write everything of a capacity experiment, each file in one step; the manifest last.

    Raises
    ------
    StoreError
        The folder cannot be written.
    """
    with replacing(folder / REQUESTS) as temporary:
        load.requests.to_parquet(temporary, index=False)
    write_text(folder / STEPS, load.steps.to_csv(index=False, lineterminator="\n"))
    write_text(folder / USL, json_text({"scalability": load.answers["scalability"]}))
    write_text(folder / ANSWERS, json_text({k: v for k, v in load.answers.items() if k != "scalability"}))
    own = spec.model_dump(mode="json")
    write_text(folder / SPEC, yaml.safe_dump(own, sort_keys=False))
    # From here on only what is on disk.
    written = open_capacity(folder)
    write_text(folder / TEXT, capacity_markdown(written.steps, written.answers, own))
    for profile in written.steps["profile"].unique():
        for name, draw in LOAD_PLOTS.items():
            plain = profile.partition(":")[2]
            write_figure(folder / "figures", f"{name}-{plain}", draw(written.steps, written.answers, profile))
    write_manifest(folder, _manifest(spec, own, dataset))


def open_capacity(folder: str | Path) -> Capacity:
    """Read the results of a capacity experiment; writes nothing.

    Raises
    ------
    StoreError
        There are none at `folder`, or they cannot be read.
    """
    place = Path(folder)
    try:
        steps = pd.read_csv(place / STEPS, keep_default_na=True, dtype=_CSV_TYPES)
        steps = steps.assign(**{name: steps[name].fillna("") for name in _TEXTS})
        scaling = json.loads((place / USL).read_text(encoding="utf-8"))
        others = json.loads((place / ANSWERS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{place} holds no capacity results that can be read: {error}") from error
    return Capacity(place, steps, {**scaling, **others})


_TEXTS = [name for name, kind in STEP_COLUMNS.items() if kind == "str"]
_CSV_TYPES = dict(STEP_COLUMNS)


def _manifest(spec: CapacitySpec, own: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    profiles = [spec.profile(name) for name in spec.profiles]
    return {
        "experiment": spec.name,
        "kind": "capacity",
        "spec": own,
        "spec_id": spec.spec_id,
        "command": f"swarmlab capacity {SPEC}",
        "code": asdict(code_version()),
        "data": {
            "name": dataset.name,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "rows": dataset.rows,
        },
        "clock": "virtual",
        "profiles": {
            profile.name: {"kind": profile.kind, "fingerprint": profile.fingerprint} for profile in profiles
        },
        "seeds": [spec.seed_of(replication) for replication in range(max(spec.seeds, spec.closed.seeds))],
        "machine": environment(_PACKAGES),
    }
