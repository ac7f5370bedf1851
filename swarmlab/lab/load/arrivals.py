"""Open-loop arrivals: when each analysis is asked for and which one, all drawn before anything runs.

The same seed draws the same analyses in the same order at every rate, so that steps differ by the rate alone.
"""

import csv
import io
import itertools
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from swarmlab.errors import SpecError

SECONDS_PER_HOUR = 3600.0
LARGEST_TIME_S = 1e12
"""Of a recorded time: some thirty thousand years."""
LATEST_ARRIVAL_S = 5e8
"""After the start: sixteen years, well within what the virtual clock can wait for."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Poisson(_Frozen):
    """Independent users: exponential gaps."""

    kind: Literal["poisson"] = "poisson"


class Steady(_Frozen):
    """Equal gaps: the least load that a rate can be."""

    kind: Literal["steady"]


class Bursts(_Frozen):
    """Groups of analyses that come together; the groups come at random, as in a Poisson process."""

    kind: Literal["bursts"]
    size: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Analyses in a group."""
    within_s: Annotated[float, Field(ge=0)] = 0.0
    """A group's analyses are spread evenly at random over this time."""


class Trace(_Frozen):
    """Recorded arrivals, stretched or squeezed to each rate; without rates, as they were recorded."""

    kind: Literal["trace"]
    file: str
    """CSV with a column `time_s` or `time`, or JSONL with such a field: seconds, or ISO 8601 dates.

    A date without a zone is one of UTC.
    """


Arrivals = Annotated[Poisson | Steady | Bursts | Trace, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True)
class Request:
    """One analysis that somebody asks for."""

    number: int
    intended_s: float
    """When it is asked for, in seconds from the start; latency counts from here."""
    brief: int
    """Place of its brief in the mix."""
    exam_seed: int
    """With the brief, what is asked: equal pairs are repeats of one analysis."""
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Mix:
    """Which analyses are asked for."""

    weights: tuple[float, ...]
    """Of the briefs, among analyses asked for the first time."""
    repeat_rate: float
    """Share of arrivals that repeat an earlier analysis, any of the earlier ones alike."""
    seed: int

    def draw(self, *, evenly: bool = False) -> Iterator[tuple[int, int, bool]]:
        """Yield brief, exam seed and whether it is a repeat, without end; the first is none.

        Parameters
        ----------
        evenly
            Repeats come at even intervals, not at random.
        """
        draw = random.Random(f"mix/{self.seed}")
        places = range(len(self.weights))
        asked: list[tuple[int, int]] = []
        for number in itertools.count():
            due = math.floor((number + 1) * self.repeat_rate) > math.floor(number * self.repeat_rate)
            is_repeat = bool(asked) and (due if evenly else draw.random() < self.repeat_rate)
            if is_repeat:
                analysis = draw.choice(asked)
            else:
                # A new exam seed makes a new analysis of the brief.
                analysis = (draw.choices(places, self.weights)[0], self.seed + len(asked))
                asked.append(analysis)
            yield *analysis, is_repeat

    def requests(self, times_s: Sequence[float]) -> list[Request]:
        """Return one request an arrival."""
        drawn = zip(times_s, self.draw(), strict=False)
        return [Request(number, time_s, *what) for number, (time_s, what) in enumerate(drawn)]

    def stream(self) -> Iterator[Request]:
        """Yield requests without end for a closed loop, where no time is intended (zero).

        Repeats come evenly: a step counts few analyses, and its throughput must not hang on their luck.
        """
        return (Request(number, 0.0, *what) for number, what in enumerate(self.draw(evenly=True)))


def arrival_times(arrivals: Arrivals, rate_per_h: float, count: int, seed: int) -> list[float]:
    """Draw when analyses are asked for.

    Parameters
    ----------
    arrivals
        The kind of process.
    rate_per_h
        Mean rate, analyses per hour.
    count
        How many; of a trace at most as many as it has.
    seed
        The same seed gives the same process at every rate, in other units of time.

    Returns
    -------
    list of float
        Seconds from the start, ascending, in whole microseconds (the virtual clock's unit).

    Raises
    ------
    SpecError
        A trace cannot be read, or the last arrival comes after `LATEST_ARRIVAL_S`.
    """
    gap_s = SECONDS_PER_HOUR / rate_per_h
    draw = random.Random(f"arrivals/{seed}")
    match arrivals:
        case Poisson():
            times = list(itertools.accumulate(draw.expovariate(1.0) * gap_s for _ in range(count)))
        case Steady():
            times = [number * gap_s for number in range(count)]
        case Bursts(size=size, within_s=within_s):
            starts = itertools.accumulate(
                draw.expovariate(1.0) * gap_s * size for _ in range(math.ceil(count / size))
            )
            each = (start + draw.uniform(0.0, within_s) for start in starts for _ in range(size))
            times = sorted(itertools.islice(each, count))
        case Trace(file=file):
            recorded = read_trace(Path(file))[:count]
            scale = gap_s * trace_rate(recorded) / SECONDS_PER_HOUR
            times = [time * scale for time in recorded]
    if times[-1] > LATEST_ARRIVAL_S:
        raise SpecError(
            f"at {rate_per_h:g} analyses per hour {len(times)} arrivals take decades; raise the rate"
        )
    return [round(time, 6) for time in times]


def trace_rate(times_s: Sequence[float]) -> float:
    """Mean rate of recorded arrivals, analyses per hour; raises SpecError if they are all at one time."""
    if times_s[0] == times_s[-1]:
        raise SpecError(f"the first {len(times_s)} arrivals of the trace are at one time; raise 'users'")
    return (len(times_s) - 1) / (times_s[-1] - times_s[0]) * SECONDS_PER_HOUR


def read_trace(path: Path) -> list[float]:
    """Read recorded arrivals.

    Returns
    -------
    list of float
        Seconds since the first, ascending.

    Raises
    ------
    SpecError
        The file cannot be read, holds no times, or they are fewer than two or all the same; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"trace {path} cannot be read: {error}") from error
    is_csv = path.suffix.lower() == ".csv"
    rows = _csv_times(path, text) if is_csv else _jsonl_times(path, text)
    times = sorted(_seconds(path, line, value) for line, value in rows)
    if len(times) < 2 or times[0] == times[-1]:
        raise SpecError(f"trace {path} needs two or more arrivals at different times; it has {len(times)}")
    return [time - times[0] for time in times]


def _csv_times(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text))
    try:
        column = _time_field(path, 1, reader.fieldnames or ())
        for row in reader:
            yield reader.line_num, row[column]
    except csv.Error as error:
        raise SpecError(f"trace {path}, line {reader.line_num}: not CSV ({error})") from error


def _jsonl_times(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SpecError(f"trace {path}, line {number}: not JSON ({error})") from error
        if not isinstance(row, dict):
            raise SpecError(f"trace {path}, line {number}: expected an object with 'time_s', got {row!r}")
        yield number, row[_time_field(path, number, row)]


def _time_field(path: Path, line: int, fields: Sequence[str] | dict[str, Any]) -> str:
    for name in ("time_s", "time"):
        if name in fields:
            return name
    found = ", ".join(fields) or "nothing"
    raise SpecError(f"trace {path}, line {line}: expected 'time_s' or 'time', found {found}")


def _seconds(path: Path, line: int, value: Any) -> float:
    """Return seconds since an origin of the file's own, from a number or a date."""
    try:
        seconds = float(value)
    except OverflowError:
        seconds = math.inf
    except (TypeError, ValueError):
        try:
            date = datetime.fromisoformat(str(value))
        except ValueError as error:
            raise SpecError(
                f"trace {path}, line {line}: a time is seconds or an ISO 8601 date, not {value!r}"
            ) from error
        # A date without a zone is taken for UTC: the machine's own would give other gaps elsewhere.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    if not abs(seconds) <= LARGEST_TIME_S:
        raise SpecError(
            f"trace {path}, line {line}: a time is a finite number up to {LARGEST_TIME_S:.0e}, "
            f"not {str(value)[:40]!r}"
        )
    return seconds
