"""The world of a capacity step: one simulated machine and provider, on which the swarm's own code runs."""

from dataclasses import replace

from swarmlab.agents.brief import Brief
from swarmlab.agents.levels import Level
from swarmlab.agents.tool_runs import SimulatedMachine
from swarmlab.data import Dataset
from swarmlab.lab.api import make_cell
from swarmlab.lab.experiment import Cell
from swarmlab.lab.load.arrivals import Request
from swarmlab.lab.load.loops import Outcome, Usage
from swarmlab.lab.load.spec import CapacitySpec
from swarmlab.lab.load.steps import MakeWorld
from swarmlab.lab.measure import Bench, run_once
from swarmlab.lab.simulate import Simulator
from swarmlab.models import SimulatedChat, SimulatedServer
from swarmlab.models.profile import Profile
from swarmlab.tools.cache import Cache
from swarmlab.trace.clock import VirtualClock


def simulated_worlds(spec: CapacitySpec, dataset: Dataset) -> MakeWorld:
    """Return what makes a new world for each step; the works of all steps are set once.

    Raises
    ------
    UserError
        A brief of the mix cannot be asked of the data.
    """
    simulator = Simulator()
    briefs = tuple(each.brief for each in spec.briefs)
    first = make_cell(
        {
            "experiment": spec.name,
            "data": spec.data,
            "data_name": dataset.name,
            "data_fingerprint": dataset.fingerprint,
            "model": "simulated",
            "workers": spec.workers,
            "timeout_s": spec.timeout_s,
            "out": "none",
        }
    )
    for brief in briefs:
        simulator.work(first.model_copy(update={"brief": brief}))

    def make(profile: Profile, level: Level, seed: int) -> SimulatedWorld:
        cell = first.model_copy(update={"level": level})
        return SimulatedWorld(simulator, profile, cell, briefs, seed)

    return make


class SimulatedWorld:
    """Runs analyses of one level side by side: one provider, one machine, one cache, one virtual clock.

    Parameters
    ----------
    simulator
        Holds the works, which all worlds share.
    profile
        Of provider and machine.
    cell
        The level, and all else that the analyses have in common.
    briefs
        What a request's `brief` is the place in.
    seed
        Of the provider's jitter and failures.
    """

    def __init__(
        self, simulator: Simulator, profile: Profile, cell: Cell, briefs: tuple[Brief, ...], seed: int
    ) -> None:
        self.clock = VirtualClock()
        self._simulator = simulator
        self._profile = profile
        self._cell = cell
        self._briefs = briefs
        self._server = SimulatedServer(profile, self.clock, seed)
        self._bench = _bench(simulator.bench(cell, self.clock), profile, self._server)
        self._cache = Cache(None, cell.level.cache, clock=self.clock)

    async def run(self, request: Request) -> Outcome:
        """Run one analysis among the others; it finds in the cache what they left, or waits for it."""
        cell = self._cell.model_copy(
            update={
                "brief": self._briefs[request.brief],
                "seed": request.exam_seed,
                "repeat": request.number,
            }
        )
        measured = await run_once(cell, self._simulator.at(self._bench, cell), self.clock, self._cache)
        counts, cache = measured.resources.counts, measured.resources.cache
        return Outcome(
            error=measured.error,
            prompt_tokens=counts.prompt_tokens,
            completion_tokens=counts.completion_tokens,
            cost_usd=self._profile.prices.cost_usd(
                counts.prompt_tokens, counts.cached_tokens, counts.completion_tokens
            ),
            cache_hits=cache.hits.total(),
            cache_misses=cache.misses.total(),
        )

    def usage(self) -> Usage:
        """What the provider saw, analyses that were given up included."""
        stats = self._server.stats
        charged = self._profile.prices.cost_usd(
            stats.prompt_tokens, stats.cached_tokens, stats.completion_tokens
        )
        return Usage(
            stats.busy_s, self._profile.concurrency, stats.greatest_queue, stats.refused, charged_usd=charged
        )


def _bench(bench: Bench, profile: Profile, server: SimulatedServer) -> Bench:
    """The bench with this provider and machine, whose limits and processors may not be the profile's own."""
    assert isinstance(bench.model.chat, SimulatedChat)
    chat = bench.model.chat.model_copy(update={"server": server})
    model = replace(bench.model, chat=chat, writer=chat, profile=profile, id=f"simulated:{profile.name}")
    return replace(bench, model=model, machine=SimulatedMachine(profile, server.clock))
