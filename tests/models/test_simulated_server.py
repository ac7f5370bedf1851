"""The simulated server: times, slots, prefix cache, limits, failures, cancelling, and retries."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simulations import at_once, letters, make_profile, simulate

from swarmlab.errors import ModelError, RateLimitedError, ServerError
from swarmlab.models import SimulatedServer, prefixes
from swarmlab.models.author import Draft
from swarmlab.models.client import Delivered, deliver
from swarmlab.models.prefixes import RecentPrompts, shared_characters
from swarmlab.models.server import Served


async def one_by_one(server: SimulatedServer, prompts: list[str]) -> list[int]:
    """Cached tokens of prompts of one token a character, one after the other."""
    return [(await server.complete(prompt, len(prompt), 1)).cached_tokens for prompt in prompts]


def test_a_call_takes_its_start_its_prompt_and_its_answer() -> None:
    """Start, prefill and decode are the profile's, slowed by the context before each token."""
    profile = make_profile(
        time_to_first_token_s=0.25,
        prefill={"tokens_per_s": 100, "slowdown_per_1000_tokens": 0.5},
        decode={"tokens_per_s": 10, "slowdown_per_1000_tokens": 1.0},
    )
    (served,), server = simulate(profile, lambda server: at_once(server, [("x", 400, 21)]))
    # Mean context of the prompt's tokens 200, of the answer's 410; its first token comes with the prefill.
    assert served == Served(0, 0, 250_000_000 + round(4 * 1.1 * 1e9), round(2 * 1.41 * 1e9))
    stats = server.stats
    assert (stats.requests, stats.served, stats.prompt_tokens, stats.completion_tokens) == (1, 1, 400, 21)
    assert stats.busy_s == pytest.approx(0.25 + 4.4 + 2.82)


def test_calls_queue_in_the_order_they_came_for_the_slots_there_are() -> None:
    """Five calls of 1 s on two slots begin at 0, 0, 1, 1 and 2 s."""
    served, server = simulate(
        make_profile(concurrency=2), lambda server: at_once(server, [(str(i), 100, 0) for i in range(5)])
    )
    assert [call.queue_ns for call in served] == [0, 0, 10**9, 10**9, 2 * 10**9]
    assert (server.stats.greatest_queue, server.stats.greatest_active) == (3, 2)


def test_a_slot_knows_the_prompt_it_had_last() -> None:
    """The common beginning comes from the cache, all but one token of an equal prompt, and nothing older."""
    prompts = ["abcdef", "abcxyz", "abcxyz", "q", "abcxyz"]
    assert simulate(
        make_profile(prefix_cache={"kind": "slot"}, text=letters()),
        lambda server: one_by_one(server, prompts),
    )[0] == [0, 3, 5, 0, 0]


def test_cached_tokens_are_not_prefilled() -> None:
    """A prompt whose first half is cached takes half the prefill, after the longer context."""
    profile = make_profile(
        text=letters(),
        prefix_cache={"kind": "slot"},
        prefill={"tokens_per_s": 100, "slowdown_per_1000_tokens": 1.0},
    )
    half = "a" * 200

    async def main(server: SimulatedServer) -> Served:
        await server.complete(half + "b" * 200, 400, 1)
        return await server.complete(half + "c" * 200, 400, 1)

    served, server = simulate(profile, main)
    assert served.cached_tokens == server.stats.cached_tokens == 200
    assert served.prefill_ns == round(2 * 1.3 * 1e9)


def test_a_call_goes_to_the_free_slot_that_knows_most_of_it() -> None:
    """With several slots free, two conversations keep their slots and each finds its own prefix."""

    async def main(server: SimulatedServer) -> list[int]:
        await at_once(server, [("aaaa", 4, 1), ("bbbb", 4, 1)])
        return await one_by_one(server, ["aaab", "bbbc", "aaabx", "bbbcx"])

    profile = make_profile(concurrency=2, prefix_cache={"kind": "slot"}, text=letters())
    assert simulate(profile, main)[0] == [3, 3, 4, 4]


def test_the_shared_cache_knows_every_prompt() -> None:
    """A beginning is found whichever prompt it was of, in whole blocks, from the least length on."""
    prompts = ["abcdefgh", "x", "abcdefgz", "abcx", "abcdefgh"]
    shared = {"kind": "shared", "block_tokens": 2, "min_tokens": 4}
    profile = make_profile(concurrency=3, prefix_cache=shared, text=letters())
    assert simulate(profile, lambda server: one_by_one(server, prompts))[0] == [0, 0, 6, 0, 6]


def test_a_beginning_is_shared_once_it_has_been_prefilled() -> None:
    """A prompt that comes while an equal one is prefilled finds nothing; after that, all but a token."""

    async def main(server: SimulatedServer) -> list[int]:
        async def later(seconds: float) -> int:
            await server.clock.sleep(seconds)
            return (await server.complete("a" * 100, 100, 100)).cached_tokens

        return list(await asyncio.gather(later(0), later(0.5), later(1.5)))

    profile = make_profile(concurrency=3, prefix_cache={"kind": "shared"}, text=letters())
    assert simulate(profile, main)[0] == [0, 0, 99]


@pytest.mark.parametrize("kind", ["slot", "shared"])
def test_a_beginning_is_forgotten_after_its_time(kind: str) -> None:
    """A prompt used again within `ttl_s` is known and kept for as long again; later it is not."""

    async def main(server: SimulatedServer) -> list[int]:
        cached = []
        for pause_s in (0, 8, 8, 12):
            await server.clock.sleep(pause_s)
            cached += await one_by_one(server, ["abcd"])
        return cached

    assert simulate(make_profile(prefix_cache={"kind": kind, "ttl_s": 10}, text=letters()), main)[0] == [
        0,
        3,
        3,
        0,
    ]


@given(st.lists(st.tuples(st.text("ab", max_size=6), st.integers(0, 5)), max_size=25), st.integers(1, 20))
def test_recent_prompts_share_most_with_the_best_of_those_kept(
    used: list[tuple[str, int]], ttl_ns: int
) -> None:
    """The neighbours in sorted order find what a search through all prompts in their time finds."""
    recent, now_ns, last = RecentPrompts(ttl_ns), 0, {}
    for prompt, pause in used:
        now_ns += pause
        kept = [other for other, at_ns in last.items() if now_ns - at_ns <= ttl_ns]
        expected = max((shared_characters(prompt, other) for other in kept), default=0)
        assert recent.shared_with(prompt, now_ns) == expected
        recent.add(prompt, now_ns)
        last[prompt] = now_ns


def test_the_shared_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond its size the prompt that was used least recently goes first."""
    monkeypatch.setattr(prefixes, "REMEMBERED_PROMPTS", 2)
    recent = RecentPrompts(None)
    for at_ns, prompt in enumerate(["a", "b", "a", "c"]):
        recent.add(prompt, at_ns)
    assert [recent.shared_with(prompt, 9) for prompt in "abc"] == [1, 0, 1]


def test_a_refusal_says_exactly_when_there_is_room() -> None:
    """A call at the time it was told is admitted, one a microsecond before it is not."""

    async def main(server: SimulatedServer) -> float:
        await server.complete("x", 97, 0)
        with pytest.raises(RateLimitedError, match="429: over the limit of tokens per minute") as refusal:
            await server.complete("x", 97, 0)
        wait_s = refusal.value.retry_after_s
        await server.clock.sleep(wait_s - 1e-6)
        with pytest.raises(RateLimitedError):
            await server.complete("x", 97, 0)
        await server.clock.sleep(1e-6)
        await server.complete("x", 97, 0)
        return wait_s

    profile = make_profile(limits={"tokens_per_minute": 101})
    wait_s, server = simulate(profile, main)
    # The first call itself has taken 0.97 s, in which the bucket was refilled.
    assert wait_s == pytest.approx((97 - 4) / 101 * 60 - 0.97, abs=1e-6)
    assert (server.stats.refused, server.stats.served) == (2, 2)


def test_a_call_that_can_never_pass_is_an_error() -> None:
    """More tokens than a minute's worth would wait for ever, so the call fails and says why."""

    async def main(server: SimulatedServer) -> None:
        with pytest.raises(ModelError, match="150 tokens can never pass a limit of 100 tokens per minute"):
            await deliver(server, Draft("x", "", "stop", 100, 50), "")

    simulate(make_profile(limits={"tokens_per_minute": 100}), main)


def test_failures_are_drawn_at_their_rate_and_hold_their_slot() -> None:
    """About a tenth of the calls fail, after the profile's time, in which their slot is taken."""

    async def main(server: SimulatedServer) -> list[Any]:
        calls = (server.complete(str(i), 100, 0) for i in range(2000))
        return await asyncio.gather(*calls, return_exceptions=True)

    ends, server = simulate(make_profile(failure={"rate": 0.1, "after_s": 3}), main)
    failed = [end for end in ends if isinstance(end, ServerError)]
    assert len(failed) == server.stats.failed == pytest.approx(200, abs=40)
    assert server.stats.busy_s == pytest.approx(3 * len(failed) + 1.0 * (2000 - len(failed)))


async def _delivered(server: SimulatedServer, n: int) -> list[Delivered]:
    calls = (deliver(server, Draft(str(i), "", "stop", 10, 10), "run") for i in range(n))
    return await asyncio.gather(*calls)


def test_the_client_asks_again_and_its_waits_are_queueing() -> None:
    """Refused calls all succeed later; queue, prefill and decode add up to the whole time of each."""
    profile = make_profile(concurrency=50, limits={"requests_per_minute": 30}, retry={"max_attempts": 12})

    async def main(server: SimulatedServer) -> list[tuple[Delivered, int]]:
        async def timed(number: int) -> tuple[Delivered, int]:
            got = await deliver(server, Draft(str(number), "", "stop", 10, 10), "run")
            return got, server.clock.now_ns()

        return await asyncio.gather(*(timed(i) for i in range(40)))

    delivered, server = simulate(profile, main)
    for got, ended_ns in delivered:
        assert got.queue_ns + got.served.prefill_ns + got.served.decode_ns == ended_ns
        assert (got.attempts > 1) == (got.queue_ns > 0)
    assert sum(got.attempts for got, _ in delivered) == server.stats.requests == 40 + server.stats.refused
    assert server.stats.refused >= 10


def test_backoff_doubles_and_never_undercuts_the_retry_after() -> None:
    """Between failures the waits lie between half and the whole of 1, 2 and 4 s; then the call gives up."""
    profile = make_profile(
        failure={"rate": 1.0, "after_s": 0}, retry={"max_attempts": 4, "first_wait_s": 1, "max_wait_s": 3}
    )

    async def main(server: SimulatedServer) -> int:
        with pytest.raises(ModelError, match=r"no answer in 4 attempts \(refused 0, failed 4\): 503"):
            await _delivered(server, 1)
        return server.clock.now_ns()

    ended_ns, _ = simulate(profile, main)
    assert 0.5 + 1 + 1.5 <= ended_ns / 1e9 <= 1 + 2 + 3

    async def refused(server: SimulatedServer) -> int:
        got = await _delivered(server, 2)
        return max(call.queue_ns for call in got)

    limited = make_profile(limits={"requests_per_minute": 1}, retry={"first_wait_s": 0.1}, concurrency=2)
    assert simulate(limited, refused)[0] == 60 * 10**9


def test_a_cancelled_call_leaves_the_queue_and_frees_its_slot() -> None:
    """Cancelled while it waits, is served, or is handed the slot, a call costs no other one."""

    async def main(server: SimulatedServer) -> list[int]:
        calls = [asyncio.create_task(server.complete(str(i), 100, 0)) for i in range(5)]
        await server.clock.sleep(0.5)
        calls[0].cancel()
        calls[2].cancel()
        first = await asyncio.gather(*calls, return_exceptions=True)
        again = await server.complete("again", 100, 0)
        return [call.queue_ns for call in (first[1], first[3], first[4], again) if isinstance(call, Served)]

    queued, server = simulate(make_profile(), main)
    assert queued == [500_000_000, 1_500_000_000, 2_500_000_000, 0]
    assert server.stats.served == 4

    async def handed_over(server: SimulatedServer) -> int:
        first = asyncio.create_task(server.complete("1", 100, 0))
        second = asyncio.create_task(server.complete("2", 100, 0))
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.gather(first, second, return_exceptions=True)
        return (await server.complete("3", 100, 0)).queue_ns

    assert simulate(make_profile(), handed_over)[0] == 0


def test_jitter_depends_on_the_call_and_not_on_the_order() -> None:
    """The same calls in another order take the same times; another draw, seed or attempt takes others."""
    profile = make_profile(concurrency=9, jitter={"kind": "lognormal", "sigma": 0.3})
    calls = [(str(i), 50, 20) for i in range(8)]
    forwards = simulate(profile, lambda server: at_once(server, calls))[0]
    assert simulate(profile, lambda server: at_once(server, calls[::-1]))[0] == forwards[::-1]
    assert len({call.decode_ns for call in forwards}) == 8
    others = [("a", 1, 0), ("", 2, 0), ("", 1, 1), ("", 1, 0)]
    times = {
        simulate(profile, lambda server, d=draw, a=attempt: server.complete("0", 50, 20, d, a), seed)[0]
        for draw, attempt, seed in others
    }
    assert len(times) == 4
    assert forwards[0] in times


def test_a_runs_calls_share_one_factor() -> None:
    """With `run_sigma` alone, all calls of a draw are slow or fast alike, and another draw otherwise."""
    profile = make_profile(concurrency=9, jitter={"kind": "lognormal", "run_sigma": 0.3})

    async def main(server: SimulatedServer) -> list[list[int]]:
        return [
            [(await server.complete(prompt, 0, 10, draw)).decode_ns for prompt in "abc"] for draw in "rst"
        ]

    times, _ = simulate(profile, main)
    assert [len(set(of_draw)) for of_draw in times] == [1, 1, 1]
    assert len({of_draw[0] for of_draw in times}) == 3
