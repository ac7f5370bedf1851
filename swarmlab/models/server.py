"""The provider that a simulated model calls: admission, queue, slots, batching, prefix cache and failures.

Time is only waited for on the clock. What a call draws (jitter, failure) follows from the call, not from
when it is served, so that the order of calls changes nothing but the waiting.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from swarmlab.errors import ServerError
from swarmlab.models.author import Author
from swarmlab.models.draws import digest, lognormal, share, spread
from swarmlab.models.prefixes import RecentPrompts, shared_characters
from swarmlab.models.profile import Profile
from swarmlab.models.rate_limits import Admission
from swarmlab.trace.clock import Clock
from swarmlab.trace.processor_sharing import ProcessorSharing


class Served(NamedTuple):
    """What became of one call, by the provider's account."""

    cached_tokens: int
    queue_ns: int
    """From its arrival until a slot was free."""
    prefill_ns: int
    """The time to the first token: the profile's start and the prompt."""
    decode_ns: int


@dataclass(slots=True)
class ServerStats:
    """What a server has done so far."""

    requests: int = 0
    """All that arrived; refused and failed ones too."""
    refused: int = 0
    failed: int = 0
    served: int = 0
    prompt_tokens: int = 0
    """Of calls that were served, like the other counts of tokens."""
    cached_tokens: int = 0
    completion_tokens: int = 0
    busy_s: float = 0.0
    """Seconds that slots were taken, summed over the slots."""
    greatest_queue: int = 0
    greatest_active: int = 0


@dataclass(slots=True, eq=False)
class _Slot:
    prompt: str = ""
    used_ns: int = 0


class SimulatedServer:
    """One provider, shared by every chat of a simulation.

    Parameters
    ----------
    profile
        Rates, limits and spreads.
    clock
        What is waited on; a virtual one for a simulation.
    seed
        Of jitter and failures, beside the profile's own.
    author
        Of this profile, with what it remembers of other simulations; None makes a new one.
    """

    def __init__(self, profile: Profile, clock: Clock, seed: int = 0, author: Author | None = None) -> None:
        self.profile = profile
        self.clock = clock
        self.seed = seed
        self.stats = ServerStats()
        self.author = Author(profile) if author is None else author
        """Writes the answers, and remembers them for all who ask."""
        self._free = [_Slot() for _ in range(profile.concurrency)]
        self._waiting: deque[asyncio.Future[_Slot]] = deque()
        self._admission = Admission(profile.limits, clock.now_ns())
        cache = profile.prefix_cache
        self._ttl_ns = None if cache.ttl_s is None else round(cache.ttl_s * 1e9)
        self._recent = RecentPrompts(self._ttl_ns)
        slowdown = profile.batching.slowdown
        # Calls that cost one another nothing need no sharing, which is far more work than one timer.
        self._sharing = (
            ProcessorSharing(clock, lambda n: 1 / (1 + slowdown * (n - 1))) if slowdown > 0 else None
        )
        jitter = profile.jitter
        self._run_factors: dict[str, float] = {}
        self._draws = jitter.kind != "none" or profile.failure.rate > 0

    async def complete(
        self,
        prompt: str,
        prompt_tokens: int,
        completion_tokens: int,
        draw: str = "",
        attempt: int = 1,
        on_first_token: Callable[[], None] | None = None,
    ) -> Served:
        """Serve one call; returns when its last token is out.

        Parameters
        ----------
        prompt
            The whole prompt, for the prefix cache and the call's draws.
        draw
            Whose call it is: calls of another draw have another jitter.
        attempt
            A repeated call draws anew.
        on_first_token
            Called when the prefill is done.

        Raises
        ------
        RateLimitedError
            At once, when a limit has no room.
        ServerError
            After the profile's `failure.after_s` in a slot.
        ModelError
            The call can never pass the limits.
        """
        stats, clock = self.stats, self.clock
        stats.requests += 1
        arrived_ns = clock.now_ns()
        try:
            self._admission.admit(prompt_tokens + completion_tokens, arrived_ns)
        except Exception:
            stats.refused += 1
            raise
        slot = self._free_slot(prompt, arrived_ns) if self._free else await self._turn()
        began_ns = clock.now_ns()
        try:
            drawn = digest(self.profile.seed, self.seed, draw, attempt, prompt) if self._draws else b""
            if self._fails(drawn):
                await self._fail()
            factor = self._factor(drawn, draw) if drawn else 1.0
            cached = self._cached(slot, prompt, prompt_tokens, began_ns)
            prefill_s, decode_s = self.seconds(prompt_tokens, cached, completion_tokens, factor)
            slot.prompt = prompt
            prefill_ns = await self._work(prompt, prefill_s, decode_s, on_first_token)
        finally:
            ended_ns = clock.now_ns()
            stats.busy_s += (ended_ns - began_ns) / 1e9
            slot.used_ns = ended_ns
            self._release(slot)
        stats.served += 1
        stats.prompt_tokens += prompt_tokens
        stats.cached_tokens += cached
        stats.completion_tokens += completion_tokens
        return Served(cached, began_ns - arrived_ns, prefill_ns, ended_ns - began_ns - prefill_ns)

    def at_once(self, prompt: str, prompt_tokens: int, completion_tokens: int, draw: str = "") -> Served:
        """Say what a call alone on an idle server would take, without waiting, limits or failures."""
        slot = self._free[-1] if self._free else _Slot()
        cached = self._cached(slot, prompt, prompt_tokens, self.clock.now_ns())
        slot.prompt, slot.used_ns = prompt, self.clock.now_ns()
        self._keep(prompt, slot.used_ns)
        factor = self._factor(digest(self.profile.seed, self.seed, draw, 1, prompt), draw)
        prefill_s, decode_s = self.seconds(prompt_tokens, cached, completion_tokens, factor)
        return Served(cached, 0, round(prefill_s * 1e6) * 1000, round(decode_s * 1e6) * 1000)

    def seconds(
        self, prompt_tokens: int, cached: int, completion_tokens: int, factor: float = 1.0
    ) -> tuple[float, float]:
        """Seconds of prefill, with the time to the first token, and of decode; alone on the machine."""
        profile = self.profile
        prefill_s = profile.prefill.seconds(prompt_tokens - cached, cached)
        # The first token comes with the prefill.
        decode_s = profile.decode.seconds(max(completion_tokens - 1, 0), prompt_tokens)
        return factor * (profile.time_to_first_token_s + prefill_s), factor * decode_s

    def _fails(self, drawn: bytes) -> bool:
        rate = self.profile.failure.rate
        return rate > 0 and share(drawn, 1) < rate

    async def _fail(self) -> NoReturn:
        after_s = self.profile.failure.after_s
        await self.clock.sleep(after_s)
        self.stats.failed += 1
        raise ServerError(f"503: the server failed after {after_s:g} s")

    def _factor(self, drawn: bytes, draw: str) -> float:
        jitter = self.profile.jitter
        factor = spread(jitter, share(drawn))
        return factor * self._run_factor(draw) if jitter.run_sigma > 0 else factor

    def _run_factor(self, draw: str) -> float:
        """Factor that all calls of a draw share."""
        known = self._run_factors.get(draw)
        if known is None:
            drawn = digest(self.profile.seed, self.seed, draw, "run")
            known = lognormal(self.profile.jitter.run_sigma, share(drawn))
            self._run_factors[draw] = known
        return known

    async def _work(
        self, prompt: str, prefill_s: float, decode_s: float, on_first_token: Callable[[], None] | None
    ) -> int:
        """Let prefill and decode pass; returns the nanoseconds of prefill."""
        clock = self.clock
        began_ns = clock.now_ns()
        if self._sharing is None and on_first_token is None:
            # One timer for both: they last as long as they would with two.
            prefill_ns = round(prefill_s * 1e6) * 1000
            self._keep(prompt, began_ns + prefill_ns)
            await clock.sleep(prefill_s + decode_s)
            return min(prefill_ns, clock.now_ns() - began_ns)
        wait = clock.sleep if self._sharing is None else self._sharing.serve
        await wait(prefill_s)
        prefilled_ns = clock.now_ns()
        self._keep(prompt, prefilled_ns)
        if on_first_token is not None:
            on_first_token()
        await wait(decode_s)
        return prefilled_ns - began_ns

    def _keep(self, prompt: str, from_ns: int) -> None:
        if self.profile.prefix_cache.kind == "shared":
            self._recent.add(prompt, from_ns)

    def _cached(self, slot: _Slot, prompt: str, tokens: int, now_ns: int) -> int:
        """Tokens of the prompt that the prefix cache holds; at least one is always prefilled."""
        cache = self.profile.prefix_cache
        if cache.kind == "none" or not prompt:
            return 0
        if cache.kind == "shared":
            alike = self._recent.shared_with(prompt, now_ns)
        else:
            alike = self._shared_with_slot(slot, prompt, now_ns)
        cached = min(int(tokens * self.author.share_within(prompt, alike)), tokens - 1)
        cached -= cached % cache.block_tokens
        return cached if cached >= cache.min_tokens else 0

    def _shared_with_slot(self, slot: _Slot, prompt: str, now_ns: int) -> int:
        if self._ttl_ns is not None and now_ns - slot.used_ns > self._ttl_ns:
            return 0
        return shared_characters(prompt, slot.prompt)

    def _free_slot(self, prompt: str, now_ns: int) -> _Slot:
        """Take the free slot that knows most of the prompt."""
        slot = self._best_slot(prompt, now_ns)
        active = self.profile.concurrency - len(self._free)
        self.stats.greatest_active = max(self.stats.greatest_active, active)
        return slot

    async def _turn(self) -> _Slot:
        """Wait for a slot, first come, first served."""
        turn: asyncio.Future[_Slot] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self.stats.greatest_queue = max(self.stats.greatest_queue, len(self._waiting))
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                # The slot was handed over in the very step in which the call was cancelled.
                self._release(turn.result())
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _best_slot(self, prompt: str, now_ns: int) -> _Slot:
        free = self._free
        if len(free) == 1 or self.profile.prefix_cache.kind != "slot":
            return free.pop()
        # Among equals the one unused for longest, whose beginning is least likely to be asked for again.
        best = max(free, key=lambda slot: (self._shared_with_slot(slot, prompt, now_ns), -slot.used_ns))
        free.remove(best)
        return best

    def _release(self, slot: _Slot) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(slot)
                return
        self._free.append(slot)
