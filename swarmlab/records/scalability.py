"""The Universal Scalability Law fitted to throughput against users, and nothing said beyond what was seen.

Throughput of N users is X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): lambda is what one user
gets, sigma the share that is serial (contention), kappa what users cost each other (coherency).
Source: N. J. Gunther, "A General Theory of Computational Scalability Based on Rational Functions",
arXiv:0808.1431 (2008); "Guerrilla Capacity Planning", Springer (2007), chapter 4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from swarmlab.errors import UserError
from swarmlab.records.estimate import Estimate, Floats

__all__ = ["USL_METHOD", "UslFit", "fit_usl", "usl_throughput"]

USL_METHOD = (
    "least squares of relative residuals of N / X(N) with lambda > 0, 0 <= sigma <= 1, kappa >= 0; intervals "
    "by profile likelihood (F with 1 and n - 3 degrees of freedom), cut off at those bounds"
)
FEWEST_STEPS = 4
"""Different numbers of users that a fit of three parameters takes."""


@dataclass(frozen=True, slots=True)
class UslFit:
    """A fitted law; `per_user` (lambda) is in analyses per hour, `contention` and `coherency` are numbers."""

    per_user: Estimate
    contention: Estimate
    coherency: Estimate
    peak_users: Estimate
    """Where throughput is greatest; NaN, with the reason, where that is not inside what was simulated."""
    peak_per_h: float
    """Throughput there; NaN likewise."""
    n: int
    n_steps: int
    largest_users: int
    worst_residual: float
    """Greatest relative difference between a throughput and the law's."""
    r_squared: float
    """Of throughput; NaN where it is the same at every step."""

    def throughput(self, users: float) -> float:
        """Return the law's throughput, analyses per hour.

        Raises
        ------
        UserError
            More users than were simulated, or fewer than one: the law is no evidence there.
        """
        if not 1 <= users <= self.largest_users:
            raise UserError(
                f"the law was fitted to 1 to {self.largest_users} users and says nothing about {users:g}; "
                "simulate more"
            )
        value = usl_throughput(np.array([float(users)]), *self._parameters())
        return float(value[0])

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON; what is not known is None."""
        names = ("per_user", "contention", "coherency", "peak_users")
        plain = ("n", "n_steps", "largest_users")
        return {
            "method": USL_METHOD,
            **{name: _estimate_dict(getattr(self, name)) for name in names},
            **{name: getattr(self, name) for name in plain},
            **{name: _number(getattr(self, name)) for name in ("peak_per_h", "worst_residual", "r_squared")},
        }

    def _parameters(self) -> tuple[float, float, float]:
        return self.per_user.value, self.contention.value, self.coherency.value


def fit_usl(users: Sequence[int], throughput_per_h: Sequence[float]) -> UslFit:
    """Fit the law to simulated steps.

    Parameters
    ----------
    users
        Concurrent users without think time, shape (n,), n >= 4 steps of different numbers; a number may come
        more than once (seeds).
    throughput_per_h
        Analyses per hour, shape (n,), positive.

    Raises
    ------
    UserError
        Fewer than four different numbers of users, or a throughput that is not positive.

    Notes
    -----
    N / X(N) is linear in (1 - sigma) / lambda, sigma / lambda and kappa / lambda, so fit and profiles are
    non-negative least squares, with one minimum. Because the region of a given sum of squares is convex
    there, each interval is in one piece. Where throughput varies little about the law (spread s), the bias
    that comes of dividing by the observed value is about s squared.
    """
    n, x = np.asarray(users, dtype=np.float64), np.asarray(throughput_per_h, dtype=np.float64)
    n_steps = len(np.unique(n))
    if n_steps < FEWEST_STEPS:
        raise UserError(f"a scalability fit takes {FEWEST_STEPS} different numbers of users, got {n_steps}")
    if not (np.isfinite(x).all() and (x > 0).all()):
        raise UserError("a scalability fit takes throughputs above zero; some step completed nothing")
    (d, b, c), least = _nnls(n, x, [np.ones_like(n), n, n * (n - 1)])
    if d + b <= 0:
        # All of the growth put on coherency: one user would take no time, which no data can mean.
        raise UserError("a scalability fit found no throughput of one user; simulate fewer users too")
    per_user, contention, coherency = (float(value) for value in (1 / (d + b), b / (d + b), c / (d + b)))
    limit = _limit(least, len(n), x)
    profiles = _profiles(n, x)
    largest = int(n.max())
    peak = _peak(n, x, (d, c), limit, largest)
    fitted = usl_throughput(n, per_user, contention, coherency)
    spread = float(((x - x.mean()) ** 2).sum())
    return UslFit(
        per_user=_interval(per_user, limit, profiles[0], np.inf),
        contention=_interval(contention, limit, profiles[1], 1.0),
        coherency=_interval(coherency, limit, profiles[2], np.inf),
        peak_users=peak,
        peak_per_h=float("nan")
        if np.isnan(peak.value)
        else float(usl_throughput(np.array([peak.value]), per_user, contention, coherency)[0]),
        n=len(n),
        n_steps=n_steps,
        largest_users=largest,
        worst_residual=float(np.abs(fitted / x - 1).max()),
        r_squared=1 - float(((x - fitted) ** 2).sum()) / spread if spread > 0 else float("nan"),
    )


def usl_throughput(users: Floats, per_user: float, contention: float, coherency: float) -> Floats:
    """Return the law's throughput in the unit of `per_user`; it is for the caller not to extrapolate."""
    return per_user * users / (1 + contention * (users - 1) + coherency * users * (users - 1))


Profile = Callable[[float], float]
"""From a parameter's value to the least sum of squares with it fixed."""


def _nnls(n: Floats, x: Floats, columns: Sequence[Floats], fixed: Floats | None = None) -> tuple[Any, float]:
    """Fit N / X by a non-negative sum of columns; returns coefficients and squared relative residuals."""
    weight = x / n
    target = np.ones_like(n) if fixed is None else 1 - fixed * weight
    # Columns of like size keep the solver's tolerance meaningful from one user to ten thousand.
    matrix = np.stack([column * weight for column in columns], axis=1)
    size = np.linalg.norm(matrix, axis=0)
    coefficients, norm = optimize.nnls(matrix / size, target)
    return coefficients / size, float(norm) ** 2


def _profiles(n: Floats, x: Floats) -> tuple[Profile, Profile, Profile]:
    pairs = n * (n - 1)

    def per_user(value: float) -> float:
        # d + b is fixed: d = 1 / value - b, so b's column is N - 1, and b at most 1 / value.
        whole = 1 / value
        coefficients, least = _nnls(n, x, [n - 1, pairs], fixed=np.full_like(n, whole))
        if coefficients[0] <= whole:
            return least
        return _nnls(n, x, [pairs], fixed=whole * n)[1]

    def contention(value: float) -> float:
        return _nnls(n, x, [1 + value * (n - 1), pairs])[1]

    def coherency(value: float) -> float:
        # d and b still free: with kappa = c / (d + b), c's column goes into both.
        return _nnls(n, x, [1 + value * pairs, n + value * pairs])[1]

    return per_user, contention, coherency


def _peak(n: Floats, x: Floats, fit: tuple[float, float], limit: float, largest: int) -> Estimate:
    """Where the law's derivative is zero: N squared = (1 - sigma) / kappa = d / c."""
    d, c = fit
    pairs = n * (n - 1)
    if d <= c:
        return Estimate(float("nan"), why="throughput does not rise with a second user")
    outside = f"not reached with the {largest} users simulated"
    if c <= 0:
        return Estimate(float("nan"), why=outside)
    value = float(np.sqrt(d / c))
    if value > largest:
        return Estimate(float("nan"), why=outside)
    found = _interval(value, limit, lambda at: _nnls(n, x, [n, at**2 + pairs])[1], float(largest))
    if found.high is not None and found.high >= largest:
        return Estimate(value, found.low, None, f"its upper end is beyond the {largest} users simulated")
    return found


def _limit(least: float, count: int, x: Floats) -> float:
    """Sum of squares that a parameter's interval may reach; NaN without spread or freedom."""
    freedom = count - 3
    # Ten digits alike are rounding, not evidence that there is no spread.
    if freedom < 1 or least <= 1e-20 * len(x):
        return float("nan")
    return least * (1 + float(stats.f.ppf(0.95, 1, freedom)) / freedom)


def _interval(value: float, limit: float, profile: Profile, upper: float) -> Estimate:
    if np.isnan(limit):
        return Estimate(value, why="no spread seen")

    def beyond(at: float) -> bool:
        return profile(at) > limit

    low = 0.0 if value <= 0 or not beyond(value * 1e-9) else _edge(beyond, value, value * 1e-9)
    if np.isinf(upper):
        far = max(value, 1e-9) * 2
        while not beyond(far) and far < 1e12:
            far *= 2
        high = _edge(beyond, value, far)
    else:
        high = upper if not beyond(upper) else _edge(beyond, value, upper)
    return Estimate(value, low, high)


def _edge(beyond: Callable[[float], bool], inside: float, outside: float) -> float:
    """Bisect between a value within the interval and one beyond it."""
    for _ in range(100):
        middle = (inside + outside) / 2
        if abs(outside - inside) <= 1e-7 * abs(middle):
            break
        inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
    return inside


def _estimate_dict(estimate: Estimate) -> dict[str, Any]:
    figures = {name: _number(getattr(estimate, name)) for name in ("value", "low", "high")}
    return {**figures, "why": estimate.why}


def _number(value: float | None) -> float | None:
    """Round to ten significant digits: the last ones differ between processors."""
    return None if value is None or not np.isfinite(value) else float(f"{value:.10g}")
