"""What a load's simulated steps answer: the knee, users, which limit to buy, how throughput scales."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from swarmlab.agents.levels import Level
from swarmlab.errors import UserError
from swarmlab.lab.load.knee import Bracket, find_knee, least_limit
from swarmlab.lab.load.spec import Advantage, CapacitySpec, Purchase
from swarmlab.lab.load.steps import Steps
from swarmlab.models.profile import Limits, Profile
from swarmlab.records.interval import RatioInterval, ratio_interval
from swarmlab.records.scalability import fit_usl

Answer = dict[str, Any]
"""Ready for JSON."""

_Rates = list[float | None]
_LIMITS = ("tokens_per_minute", "requests_per_minute")


def scalability(spec: CapacitySpec, steps: Steps, profile: Profile, level: Level) -> Answer:
    """Simulate users in a closed loop, and fit the Universal Scalability Law to their throughput."""
    rows = [
        steps.closed(profile, level, n_users, spec.seed_of(replication))
        for n_users in spec.closed.users
        for replication in range(spec.closed.seeds)
    ]
    head = {"profile": f"simulated:{profile.name}", "level": level.name, "seeds": spec.closed.seeds}
    try:
        fit = fit_usl([row["n_users"] for row in rows], [row["throughput_per_h"] for row in rows])
    except UserError as error:
        return {**head, "fit": None, "why": str(error)}
    return {**head, "fit": fit.as_dict(), "why": None}


def knees(spec: CapacitySpec, steps: Steps, profile: Profile, level: Level) -> Iterator[Answer]:
    """Yield, for each seed, where the service level is first missed and how many users that is."""
    rates = spec.rates or _rates(spec, steps, profile, level)
    for replication in range(spec.seeds):
        seed = spec.seed_of(replication)

        def meets(rate: float, seed: int = seed) -> bool:
            purpose = "rate" if rate in rates else "knee"
            return bool(steps.open(profile, level, rate, seed, purpose)["slo_met"])

        # At one arrival in eight timeouts hardly any analysis meets another: lower rates do no better.
        floor = 3600 / spec.timeout_s / 8
        bracket = find_knee(meets, rates, spec.tolerance, beyond=spec.rates is None, floor=floor)
        yield {
            "profile": f"simulated:{profile.name}",
            "level": level.name,
            "seed": seed,
            **_knee(spec, steps, profile, level, bracket, seed),
        }


def purchase(spec: CapacitySpec, steps: Steps, asked: Purchase) -> Answer:
    """Find the least tokens and requests per minute that keep the service level at the wanted rate.

    Each is searched with the other unlimited; then the pair is simulated, and both are raised until it is
    enough.
    """
    profile, seed = spec.profile(asked.profile), spec.seed_of(0)

    def row(limits: Limits) -> dict[str, Any]:
        with_limits = profile.model_copy(update={"limits": limits})
        return steps.open(with_limits, asked.level, asked.rate_per_h, seed, "limit")

    head = {
        "profile": f"simulated:{profile.name}",
        "level": asked.level.name,
        "rate_per_h": asked.rate_per_h,
        "seed": seed,
    }
    unlimited = row(Limits())
    if not unlimited["slo_met"]:
        return {**head, **dict.fromkeys(_LIMITS), "too_little": None, "why": "missed without any limit"}
    per_minute = asked.rate_per_h / 60
    tokens = unlimited["tokens_per_analysis"]
    guesses = {"tokens_per_minute": per_minute * tokens, "requests_per_minute": per_minute}

    def search(name: str, guess: float) -> Bracket:
        return least_limit(lambda limit: bool(row(Limits(**{name: limit}))["slo_met"]), guess, spec.tolerance)

    found = {name: search(name, guess) for name, guess in guesses.items()}
    if any(bracket.met is None for bracket in found.values()):
        return {**head, **dict.fromkeys(_LIMITS), "too_little": None, "why": "no limit tried was enough"}
    enough = {name: float(bracket.met or math.nan) for name, bracket in found.items()}
    for _ in range(20):
        if row(Limits(**enough))["slo_met"]:
            break
        enough = {name: limit * (1 + spec.tolerance) for name, limit in enough.items()}
    too_little = {name: bracket.missed for name, bracket in found.items()}
    return {**head, **enough, "too_little": too_little, "why": None}


def advantage(spec: CapacitySpec, steps: pd.DataFrame, found: list[Answer], profile: Profile) -> list[Answer]:
    """Test the claim that one level does so many times the analyses per hour of another.

    Returns
    -------
    list
        Two answers: of the greatest throughput that users in a closed loop sustained, whatever they waited;
        and of the greatest rate within the service level, which a slow level may not keep at any rate.
    """
    if spec.advantage is None:
        return []
    names = (spec.advantage.level.name, spec.advantage.baseline.name)
    profile_name = f"simulated:{profile.name}"
    own = steps[(steps["profile"] == profile_name) & (steps["kind"] == "closed")]
    sustained = {name: _sustained(own[own["level"] == name]) for name in names}
    within = {
        (knee["level"], knee["seed"]): knee["met_per_h"] for knee in found if knee["profile"] == profile_name
    }
    closed, open_ = ([spec.seed_of(n) for n in range(count)] for count in (spec.closed.seeds, spec.seeds))
    most: list[_Rates] = [[sustained[name][seed] for seed in closed] for name in names]
    kept: list[_Rates] = [[within.get((name, seed)) for seed in open_] for name in names]
    head = {"profile": profile_name, "level": names[0], "baseline": names[1], "target": spec.advantage.times}
    measures = (
        ("sustained", most, "nothing completed"),
        ("within the service level", kept, "kept at no rate simulated"),
    )
    return [
        {**head, "measure": measure, **_ratio(spec.advantage, above, below, lack)}
        for measure, (above, below), lack in measures
    ]


def _sustained(closed: pd.DataFrame) -> dict[int, float]:
    """Throughput by seed with the number of users at which its mean over seeds is greatest.

    The greatest of each seed's own would be too high, by the luck of the step.
    """
    best = closed.groupby("n_users")["throughput_per_h"].mean().idxmax()
    at_best = closed[closed["n_users"] == best]
    return {
        int(seed): float(value)
        for seed, value in zip(at_best["seed"], at_best["throughput_per_h"], strict=True)
    }


def _rates(spec: CapacitySpec, steps: Steps, profile: Profile, level: Level) -> tuple[float, ...]:
    """Shares of the greatest throughput of the closed loop, to four digits so that they can be read."""
    by_users = [
        sum(
            steps.closed(profile, level, n_users, spec.seed_of(replication))["throughput_per_h"]
            for replication in range(spec.closed.seeds)
        )
        / spec.closed.seeds
        for n_users in spec.closed.users
    ]
    return tuple(float(f"{share * max(by_users):.4g}") for share in spec.shares)


def _knee(
    spec: CapacitySpec, steps: Steps, profile: Profile, level: Level, bracket: Bracket, seed: int
) -> Answer:
    met, missed = bracket.met, bracket.missed
    figures = {"met_per_h": met, "missed_per_h": missed, "think_time_s": spec.think_time_s}
    if met is None:
        why = f"missed at every rate simulated, the lowest {missed:,.4g} an hour"
        return {**figures, "latency_mean_s": None, "users": None, "why": why}
    latency_s = float(steps.open(profile, level, met, seed, "knee")["latency_mean_s"])
    beyond = f"met at every rate simulated; nothing is known beyond {met:,.4g} an hour"
    return {
        **figures,
        "latency_mean_s": latency_s,
        # Little's law: users = throughput x (latency + think time).
        "users": math.floor(met / 3600 * (latency_s + spec.think_time_s)),
        "why": None if missed else beyond,
    }


def _ratio(claim: Advantage, above: _Rates, below: _Rates, lack: str) -> Answer:
    pairs = [(a, b) for a, b in zip(above, below, strict=True) if a and b]
    if not pairs:
        sides = {claim.level.name: above, claim.baseline.name: below}
        lacking = " and ".join(name for name, rates in sides.items() if not any(rates))
        figures = dict.fromkeys(("times", "low", "high", "above_per_h", "below_per_h"))
        return {**figures, "n": 0, "verdict": "no ratio", "why": f"{lacking}: {lack}"}
    ratio = ratio_interval([a for a, _ in pairs], [b for _, b in pairs])
    return {
        "times": ratio.ratio,
        "low": ratio.low,
        "high": ratio.high,
        "above_per_h": sum(a for a, _ in pairs) / len(pairs),
        "below_per_h": sum(b for _, b in pairs) / len(pairs),
        "n": ratio.n,
        "verdict": _verdict(ratio, claim.times),
        "why": "n = 1, no interval" if ratio.low is None else "exploratory" if ratio.n < 10 else None,
    }


def _verdict(ratio: RatioInterval, target: float) -> str:
    low, high = ratio.low, ratio.high
    if low is None or high is None:
        return "met" if ratio.ratio >= target else "missed"
    return "met" if low >= target else "missed" if high < target else "inconclusive"
