"""Simulated steps of a capacity experiment: each a world of its own, a load, and a row about it."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from swarmlab.agents.levels import Level
from swarmlab.lab.load.arrivals import arrival_times
from swarmlab.lab.load.loops import Served, Usage, World, closed_loop, open_loop
from swarmlab.lab.load.spec import CapacitySpec
from swarmlab.models.profile import Profile
from swarmlab.records.load_tables import requests_frame, step_row, steps_frame

MakeWorld = Callable[[Profile, Level, int], World]
"""From a profile (with the limits of the step), a level and a seed to a world in which nothing has run."""

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Say nothing."""


class Steps:
    """Simulates steps and keeps a row about each and a row a request; a step asked again is not run again."""

    def __init__(self, spec: CapacitySpec, make_world: MakeWorld, say: Say) -> None:
        self._spec = spec
        self._make_world = make_world
        self._say = say
        self._rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._requests: list[pd.DataFrame] = []

    @property
    def steps(self) -> pd.DataFrame:
        """One row a step, in the order in which they were simulated."""
        return steps_frame(self._rows.values())

    @property
    def requests(self) -> pd.DataFrame:
        """One row a request."""
        return pd.concat(self._requests or [requests_frame(())], ignore_index=True)

    def open(
        self, profile: Profile, level: Level, rate_per_h: float, seed: int, purpose: str
    ) -> dict[str, Any]:
        """Simulate arrivals at a rate; returns the step's row."""
        spec = self._spec
        key = ("open", profile.fingerprint, level, rate_per_h, seed)
        if key not in self._rows:
            times = arrival_times(spec.arrivals, rate_per_h, spec.users, seed)
            world = self._make_world(profile, level, seed)
            load = open_loop(
                world,
                spec.mix(seed).requests(times),
                pool=spec.pool.workers,
                timeout_s=spec.timeout_s,
                warm_up=spec.warm_up,
            )
            served = world.clock.run(load)
            about = {"kind": "open", "purpose": purpose, "rate_per_h": rate_per_h, "pool": spec.pool.workers}
            self._keep(key, profile, level, seed, served, world.usage(), about)
        return self._rows[key]

    def closed(self, profile: Profile, level: Level, n_users: int, seed: int) -> dict[str, Any]:
        """Simulate users who ask again at once; returns the step's row."""
        spec = self._spec
        key = ("closed", profile.fingerprint, level, n_users, seed)
        if key not in self._rows:
            world = self._make_world(profile, level, seed)
            load = closed_loop(
                world,
                spec.mix(seed).stream(),
                n_users=n_users,
                n_warm_up=2 * n_users,
                n_counted=_whole_rounds(spec.closed.analyses, n_users),
                least_s=spec.closed.least_s,
            )
            served = world.clock.run(load)
            about = {"kind": "closed", "purpose": "scalability", "n_users": n_users, "pool": None}
            self._keep(key, profile, level, seed, served, world.usage(), about)
        return self._rows[key]

    def _keep(
        self,
        key: tuple[Any, ...],
        profile: Profile,
        level: Level,
        seed: int,
        served: Sequence[Served],
        usage: Usage,
        about: dict[str, Any],
    ) -> None:
        spec, step = self._spec, len(self._rows)
        frame = requests_frame(one.row(step, spec.timeout_s) for one in served)
        told = {
            "step": step,
            "clock": "virtual",
            "profile": f"simulated:{profile.name}",
            "level": level.name,
            "seed": seed,
            "arrivals": spec.arrivals.kind if about["kind"] == "open" else "",
            "slo_percentile": spec.slo.percentile,
            "slo_latency_s": spec.slo.latency_s,
            **profile.limits.model_dump(),
            **_usage_figures(usage, max((one.end_s for one in served), default=0.0)),
            **about,
        }
        row = step_row(frame, told)
        self._rows[key] = row
        self._requests.append(frame)
        self._say(_line(row))


def _whole_rounds(analyses: int, n_users: int) -> int:
    """Analyses to count: whole rounds of all users, two at least, or the cut would favour who is in phase."""
    return max(2, -(-analyses // n_users)) * n_users


def _usage_figures(usage: Usage, length_s: float) -> dict[str, Any]:
    busy, slots = usage.model_busy_s, usage.model_slots
    is_known = busy is not None and slots and length_s > 0
    return {
        "model_utilisation": busy / (slots * length_s) if is_known else None,  # type: ignore[operator]
        "model_queue_max": usage.model_queue_max,
        "refused": usage.refused,
        "charged_usd": usage.charged_usd,
    }


def _line(row: dict[str, Any]) -> str:
    load = f"{row['rate_per_h']:,.0f} an hour" if row["kind"] == "open" else f"{row['n_users']} at once"
    percentile, latency_s = (row["slo_percentile"], row["latency_slo_s"])
    if row["kind"] == "closed":
        percentile, latency_s = 50, row["latency_p50_s"]
    return (
        f"{row['profile']}, {row['level']}, {load}: {row['throughput_per_h']:,.0f} analyses an hour, "
        f"p{percentile:g} {latency_s:.2f} s, {row['succeeded']} of {row['attempted']} ok"
    )
