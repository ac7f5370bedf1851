"""How a run comes by a tool's answer: computed while the clock runs or, in simulation, charged at its cost.

A simulated run computes the very same facts; only the time that this takes is the profile's.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Protocol

from swarmlab.data import Dataset
from swarmlab.data.companions import companion_key
from swarmlab.models.profile import Profile, ToolCosts
from swarmlab.tools import TOOLS, Fact, Scope, SharedFrame, ToolAnswer, run_tool
from swarmlab.tools.cache import Cache, content_key
from swarmlab.tools.facts import Facts
from swarmlab.tools.run import Impl, worded
from swarmlab.tools.workers import Workers
from swarmlab.trace.clock import Clock
from swarmlab.trace.processor_sharing import ProcessorSharing


class ToolRunner(Protocol):
    """What a run's agents get their tools' answers from; one a run."""

    async def answer(self, name: str, scope: Scope, impl: Impl) -> ToolAnswer:
        """Run a tool; raises ToolError when it fails."""

    def close(self) -> None:
        """End what the tools ran in."""


class MeasuredTools:
    """Computes each answer where its tool runs; in threads on one shared frame if they are vectorized."""

    def __init__(self, dataset: Dataset, clock: Clock) -> None:
        self._dataset = dataset
        self._workers = Workers(clock)
        self._shared = SharedFrame(dataset)

    async def answer(self, name: str, scope: Scope, impl: Impl) -> ToolAnswer:
        """Run a tool off the event loop."""
        runs_in = TOOLS[name].runs_in
        # What threads share another process cannot.
        shared = (self._shared,) if runs_in == "thread" else ()
        asked = (name, scope, self._dataset, impl, *shared)
        answer: ToolAnswer = await self._workers.call(name, runs_in, run_tool, *asked)
        return answer

    def close(self) -> None:
        """End the threads and processes, threads of tools that hang excepted."""
        self._workers.close()


class ToolAnswers:
    """Answers of tools by data, brief and tool, each computed once; for simulations, which repeat them.

    Parameters
    ----------
    store
        Keeps the facts for other processes too, in its layer `facts`; None keeps them in this one.
    code_version
        Of the code that computes them: other code's facts are not used.
    """

    def __init__(self, store: Cache | None = None, code_version: str = "") -> None:
        self._store = store
        self._code_version = code_version
        self._frames: dict[str, SharedFrame] = {}
        self._answers: dict[tuple[str, Scope, str], ToolAnswer] = {}

    def get(self, dataset: Dataset, name: str, scope: Scope, impl: Impl) -> ToolAnswer:
        """Return an answer as `run_tool` gives it; raises ToolError, each time, when the tool fails."""
        key = (dataset.fingerprint, scope, name)
        if key not in self._answers:
            self._answers[key] = self._find(dataset, name, scope)
        if impl == "vectorized":
            return self._answers[key]
        key_verbose = (dataset.fingerprint, scope, f"{name} ({impl})")
        if key_verbose not in self._answers:
            self._answers[key_verbose] = worded(name, self._answers[key].facts, impl)
        return self._answers[key_verbose]

    def _find(self, dataset: Dataset, name: str, scope: Scope) -> ToolAnswer:
        """Both implementations find the same facts and differ in their words only."""
        data = dataset.fingerprint + companion_key(dataset, TOOLS[name].table)
        parts = {"tool": name, "scope": asdict(scope), "data": data}
        key = content_key({**parts, "code": self._code_version})
        stored = None if self._store is None else self._store.get("facts", key)
        if stored is not None:
            return worded(name, Facts(Fact(**fact) for fact in stored).shared(), "vectorized")
        frame = self._frames.setdefault(dataset.fingerprint, SharedFrame(dataset))
        answer = run_tool(name, scope, dataset, "vectorized", frame)
        if self._store is not None:
            self._store.put("facts", key, [fact.as_dict() for fact in answer.facts])
        return answer


class SimulatedMachine:
    """The processors that the tools of all runs of one simulation share."""

    def __init__(self, profile: Profile, clock: Clock) -> None:
        self.costs: Mapping[Impl, ToolCosts] = profile.tools
        self.processors = {
            impl: ProcessorSharing(clock, partial(_rate, costs.cores)) for impl, costs in self.costs.items()
        }


def _rate(cores: float, jobs: int) -> float:
    return min(1.0, cores / jobs)


class SimulatedTools:
    """Gives the tools' real answers and lets the time pass that the profile charges for them."""

    def __init__(self, dataset: Dataset, machine: SimulatedMachine, answers: ToolAnswers) -> None:
        self._dataset = dataset
        self._machine = machine
        self._answers = answers
        # What there is to read grows with the file, whichever copy of it is read.
        self._bytes = dataset.size_bytes
        self._is_loaded = False
        self._loading = asyncio.Lock()

    async def answer(self, name: str, scope: Scope, impl: Impl) -> ToolAnswer:
        """Run a tool in simulated time; the shared frame is loaded once, and other calls wait for it."""
        costs, processors = self._machine.costs[impl], self._machine.processors[impl]
        read_s = costs.read.seconds(self._bytes)
        compute_s = costs.compute.get(name, costs.compute["default"]).seconds(self._dataset.rows)
        answer = self._answers.get(self._dataset, name, scope, impl)
        if impl == "baseline":
            await processors.serve(read_s + compute_s)
            return answer
        async with self._loading:
            if not self._is_loaded:
                await processors.serve(read_s)
                self._is_loaded = True
        await processors.serve(compute_s)
        return answer

    def close(self) -> None:
        """Nothing to end."""
