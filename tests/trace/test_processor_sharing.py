"""Processor sharing: jobs end when the fluid model says, whoever comes, ends early or is cancelled."""

import asyncio
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.trace.clock import VirtualClock
from swarmlab.trace.processor_sharing import ProcessorSharing

RATES = {
    "one core": lambda n: 1 / n,
    "two cores": lambda n: min(1.0, 2 / n),
    "a batching server": lambda n: 1 / (1 + 0.25 * (n - 1)),
    "no sharing": lambda n: 1.0,
    "better together": lambda n: 1.5 - 1 / (n + 1),
}


def simulate(jobs, rate):
    """Serve jobs `(start_us, work_us, leave_us)`; return when each ended in microseconds, None if it left."""
    clock, ends = VirtualClock(), {}

    async def job(i, resource, start_us, work_us, leave_us):
        await clock.sleep(start_us / 1e6)
        try:
            async with asyncio.timeout_at(None if leave_us is None else leave_us / 1e6):
                await resource.serve(work_us / 1e6)
        except TimeoutError:
            ends[i] = None
        else:
            ends[i] = clock.now_ns() // 1000

    async def main():
        resource = ProcessorSharing(clock, rate)
        await asyncio.gather(*(job(i, resource, *given) for i, given in enumerate(jobs)))
        assert resource.n_active == 0

    clock.run(main())
    return [ends[i] for i in range(len(jobs))]


def slow_ends(jobs, rate):
    """Compute the same from event to event in exact fractions, with an account of each job's work."""
    arrivals = sorted(range(len(jobs)), key=lambda i: (jobs[i][0], i))
    left, ends = {}, [None] * len(jobs)
    now = Fraction(0)
    while arrivals or left:
        speed = Fraction(rate(len(left))) if left else Fraction(1)
        events = [jobs[arrivals[0]][0]] if arrivals else []
        events += [jobs[i][2] for i in left if jobs[i][2] is not None]
        events += [round(now + work / speed) for work in left.values()]
        step = max(Fraction(min(events)), now) - now
        now += step
        left = {i: work - step * speed for i, work in left.items()}
        for i in [i for i, work in left.items() if work <= speed / 2]:
            ends[i] = int(now)
            del left[i]
        left = {i: work for i, work in left.items() if jobs[i][2] is None or jobs[i][2] > now}
        while arrivals and jobs[arrivals[0]][0] <= now:
            first = arrivals.pop(0)
            if jobs[first][2] is None or jobs[first][2] > now:
                left[first] = Fraction(jobs[first][1])
    return ends


@pytest.mark.parametrize(
    ("rate", "jobs", "expected"),
    [
        ("one core", [(0, 1.0)], [1.0]),
        ("one core", [(0, 1.0)] * 3, [3.0, 3.0, 3.0]),
        # Alone for 1 s, then at half speed until the short one is done at 3 s, then alone again.
        ("one core", [(0, 3.0), (1, 1.0)], [4.0, 3.0]),
        ("two cores", [(0, 1.0)] * 3, [1.5, 1.5, 1.5]),
        ("two cores", [(0, 2.0), (0, 2.0), (1, 2.0)], [2.5, 2.5, 3.5]),
        ("a batching server", [(0, 4.0)] * 5, [8.0] * 5),
        ("no sharing", [(0, 0.1), (0.05, 32.9)], [0.1, 32.95]),
    ],
)
def test_known_cases(rate, jobs, expected):
    """Cases worked out by hand come out exact to the microsecond."""
    ends = simulate([(round(start * 1e6), round(work * 1e6), None) for start, work in jobs], RATES[rate])
    assert ends == [round(end * 1e6) for end in expected]


def test_a_job_that_leaves_speeds_up_the_others():
    """A job cancelled half-way gives its share to the one that stays from that moment."""
    # Half speed for the first second, full speed after it.
    assert simulate([(0, 2_000_000, None), (0, 2_000_000, 1_000_000)], RATES["one core"]) == [2_500_000, None]


def test_the_head_of_the_line_may_leave():
    """When the job that would end first is cancelled the next one still ends in time."""
    jobs = [(0, 1_000_000, 500_000), (0, 3_000_000, None), (0, 2_000_000, None)]
    # A third each until 0.5 s, half each until the shorter is done, then the last second of the longer.
    assert simulate(jobs, RATES["one core"]) == [None, 5_166_667, 4_166_667]


JOB = st.tuples(st.integers(0, 5_000), st.integers(1, 5_000), st.integers(0, 20_000) | st.none())


@given(st.lists(JOB, max_size=12), st.sampled_from(sorted(RATES)))
def test_it_agrees_with_a_step_by_step_computation(jobs, name):
    """Arrivals, ends and departures in any order give the ends that a slow exact computation gives."""
    ends = simulate(jobs, RATES[name])
    for (_, _, leave_us), found, exact in zip(jobs, ends, slow_ends(jobs, RATES[name]), strict=True):
        # Which way half a microsecond is rounded depends on the last bit of a float; and where a job would
        # end in the microsecond in which it leaves, either may come first.
        found_us, exact_us = (leave_us if end is None else end for end in (found, exact))
        assert abs(found_us - exact_us) <= len(jobs)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=30), st.integers(1, 4))
def test_no_work_is_lost(works_us, cores):
    """However the jobs overlap, cores kept busy end with the total work, and the smallest job ends first."""
    ends = simulate([(0, work, None) for work in works_us], lambda n: cores / n)
    assert abs(max(ends) - sum(works_us) / cores) <= len(works_us)
    assert [works_us[i] for i in sorted(range(len(ends)), key=lambda i: (ends[i], works_us[i]))] == sorted(
        works_us
    )


def test_no_work_ends_at_once():
    """A job without work is served without a place in the line."""
    assert simulate([(0, 10, None), (5, 0, None)], RATES["one core"]) == [10, 5]


def test_it_works_on_after_an_idle_time():
    """What was served before an idle time has no part in what comes after it."""
    jobs = [(0, 1_000_000, None), (10**9, 2_000_000, None), (10**9, 1_000_000, None)]
    assert simulate(jobs, RATES["one core"]) == [1_000_000, 10**9 + 3_000_000, 10**9 + 2_000_000]


@pytest.mark.parametrize("work_s", [-1.0, float("nan"), float("inf")])
def test_impossible_work_is_refused(work_s):
    """Work that is negative or not finite is an error."""
    clock = VirtualClock()
    with pytest.raises(ValueError, match="finite"):
        clock.run(ProcessorSharing(clock, RATES["one core"]).serve(work_s))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan")])
def test_an_impossible_rate_is_refused_and_leaves_nothing_behind(rate):
    """A rate that is not positive is an error, and the job that met it is not counted."""
    clock = VirtualClock()
    resource = ProcessorSharing(clock, lambda n: rate)
    with pytest.raises(ValueError, match="rate of 1"):
        clock.run(resource.serve(1))
    assert resource.n_active == 0
