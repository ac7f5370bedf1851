"""Profiles for tests, and simulations of a few calls on one server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from swarmlab.models import Profile, SimulatedServer
from swarmlab.models.server import Served
from swarmlab.trace.clock import VirtualClock

T = TypeVar("T")

PLAIN: dict[str, Any] = {
    "name": "plain",
    "kind": "calibrated",
    "about": "Reads 100 tokens a second, writes 10, one call at a time; a token a word.",
    "time_to_first_token_s": 0.0,
    "prefill": {"tokens_per_s": 100},
    "decode": {"tokens_per_s": 10},
    "concurrency": 1,
    "context_tokens": 4096,
    "text": {
        "tokens": {
            "per_word": 1,
            "per_letter": 0,
            "per_digit": 1,
            "per_symbol": 0,
            "per_line": 0,
            "per_message": 0,
        },
        "lengths": {"default": {"words": 0.5}},
    },
    "tools": {
        "baseline": {"cores": 1, "read": {}, "compute": {"default": {}}},
        "vectorized": {"cores": 1, "read": {}, "compute": {"default": {}}},
    },
    "calibration": {"note": "for tests"},
}


def make_profile(**changes: Any) -> Profile:
    """The plain profile with some sections replaced."""
    return Profile.model_validate({**PLAIN, **changes})


def simulate(
    profile: Profile, main: Callable[[SimulatedServer], Awaitable[T]], seed: int = 0
) -> tuple[T, SimulatedServer]:
    """Run `main` with a server of its own on a virtual clock of its own."""
    clock = VirtualClock()
    server = SimulatedServer(profile, clock, seed)

    async def run() -> T:
        return await main(server)

    return clock.run(run()), server


def letters() -> dict[str, Any]:
    """The section `text` of a profile in which each letter is a token."""
    tokens = {**PLAIN["text"]["tokens"], "per_word": 0, "per_letter": 1}
    return {**PLAIN["text"], "tokens": tokens}


async def at_once(server: SimulatedServer, calls: Sequence[tuple[str, int, int]]) -> list[Served]:
    """Make several calls at the same moment: prompt, its tokens, tokens of the answer."""
    return await asyncio.gather(*(server.complete(*call) for call in calls))
