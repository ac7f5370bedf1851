"""Profiles: what a simulated model and its machine are like, every figure of it in one YAML file.

A profile is *calibrated* (fitted to runs that it names) or *declared* (each number with its source and date).
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from swarmlab.errors import SpecError, first_problem
from swarmlab.trace.yaml_text import parse_yaml

DEFAULT_PROFILE = "embedded-2core"
_PACKAGE = Path(__file__).parents[1]
_FOLDER = "experiments/profiles"

LARGEST = 1e8
"""Of seconds some three years, well within what the virtual clock can wait for."""

Seconds = Annotated[float, Field(ge=0, le=LARGEST)]
Rate = Annotated[float, Field(gt=0)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any) -> Any:
        return no_truth_value(value)


def no_truth_value(value: Any) -> Any:
    """Return a value of a file without yes and no, where pydantic would take a stray one for 1 or 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number or a text, and YAML reads this as true or false")
    return value


class TokenRate(_Frozen):
    """How fast tokens go; each 1,000 tokens of context before one slow it by `slowdown_per_1000_tokens`."""

    tokens_per_s: Rate
    """With an empty context and no other call."""
    slowdown_per_1000_tokens: Amount = 0.0

    def seconds(self, tokens: int, context: int) -> float:
        """Seconds that `tokens` take after a context of so many; the mean position stands for all."""
        position = (context + tokens / 2) / 1000
        return tokens / self.tokens_per_s * (1 + self.slowdown_per_1000_tokens * position)


class Batching(_Frozen):
    """Calls served at once share the machine: n of them go 1 + slowdown * (n - 1) times slower each."""

    slowdown: Share = 0.0
    """0: others cost a call nothing; 1: the calls take turns."""


class PrefixCache(_Frozen):
    """What of a prompt need not be prefilled again."""

    kind: Literal["none", "slot", "shared"] = "none"
    """`slot`: what the prompt has in common with the last one of its slot. `shared`: with any prompt."""
    min_tokens: Annotated[int, Field(ge=0)] = 0
    """Shorter beginnings are not kept."""
    block_tokens: Annotated[int, Field(ge=1)] = 1
    """Only whole blocks count."""
    ttl_s: Annotated[float, Field(gt=0, le=LARGEST)] | None = None
    """How long a beginning is kept after its last use; None for ever."""


class Limits(_Frozen):
    """A provider's limits: token buckets that hold a minute's worth and refill steadily; None: no limit."""

    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None
    """Prompt and completion; a request takes what it will use when it is admitted."""


class Retry(_Frozen):
    """What the client does after a refusal (429) or a failure (5xx)."""

    max_attempts: Annotated[int, Field(ge=1)] = 6
    first_wait_s: Seconds = 0.5
    """Doubles with each attempt, at random between half and the whole; a longer retry-after goes before."""
    max_wait_s: Seconds = 60.0


class Jitter(_Frozen):
    """Spread of prefill and decode times around their mean."""

    kind: Literal["none", "lognormal", "exponential"] = "none"
    sigma: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Standard deviation of the logarithm of one call's time (lognormal)."""
    run_sigma: Annotated[float, Field(ge=0, le=3)] = 0.0
    """The same, of a factor that all calls of a run share."""


class Failure(_Frozen):
    """Calls that end in a server error."""

    rate: Share = 0.0
    after_s: Seconds = 1.0
    """When the error comes."""


class TokenCount(_Frozen):
    """Tokens of a text as a sum over what is in it; a fit to a tokenizer, not the tokenizer."""

    per_word: Amount
    """A run of letters."""
    per_letter: Amount
    per_digit: Amount
    per_symbol: Amount
    """Any other character that is not white space."""
    per_line: Amount
    """A line break."""
    per_message: Amount
    """The chat template's own, a message."""
    per_prompt: Amount = 0.0


class Lengths(_Frozen):
    """How much is written, between the least and the most that an answer's schema allows."""

    words: Share = 0.5
    """Words of a sentence: 0 the least, 1 the most."""
    words_spread: Share = 0.0
    """Half-width of the uniform draw around `words`."""
    items: Share = 0.5
    """Items of a list."""
    items_spread: Share = 0.0
    sentence_words: Annotated[float, Field(gt=0)] | None = None
    """Words of a sentence left to itself, which a schema's bounds cut; None: sentences follow `words`."""
    sentence_words_listed: Annotated[float, Field(gt=0)] | None = None
    """The same where lines of the prompt are list items ("- "); None: no other than elsewhere."""
    sentence_spread: Annotated[float, Field(ge=0)] = 0.0
    """Half-width, in words, of the uniform draw around either."""

    @model_validator(mode="after")
    def _listed_changes_something(self) -> Self:
        if self.sentence_words is None and (self.sentence_words_listed is not None or self.sentence_spread):
            raise ValueError("sentence_words_listed and sentence_spread need sentence_words")
        return self


class Text(_Frozen):
    """How long answers are and how tokens are counted."""

    tokens: TokenCount
    answer_tokens: TokenCount | None = None
    """Of an answer, JSON under a grammar, where it is not cut like a prompt; `per_prompt` is for its end."""
    lengths: Mapping[str, Lengths]
    """By the title of the answer's schema; `default` for any other."""

    @model_validator(mode="after")
    def _has_a_default(self) -> Self:
        if "default" not in self.lengths:
            raise ValueError("lengths needs an entry 'default'")
        return self


class Cost(_Frozen):
    """Seconds on one idle core: a start and a part that grows with the work."""

    start_s: Seconds = 0.0
    per_million_s: Seconds = 0.0
    """Per million rows (of a computation) or bytes of the data's file (of reading it)."""

    def seconds(self, amount: float) -> float:
        """Seconds for so many rows or bytes."""
        return self.start_s + self.per_million_s * amount / 1e6


class ToolCosts(_Frozen):
    """What one implementation of the tools costs."""

    cores: Rate
    """Processors that calls at once can share; 1 where the interpreter's lock lets only one work."""
    read: Cost
    """Reading the file: in each call (`baseline`), or once a run (`vectorized`)."""
    compute: Mapping[str, Cost]
    """By tool; `default` for any other."""

    @model_validator(mode="after")
    def _has_a_default(self) -> Self:
        if "default" not in self.compute:
            raise ValueError("compute needs an entry 'default'")
        return self


class Overhead(_Frozen):
    """Seconds of the framework's own, which no model or tool accounts for."""

    model_call_s: Seconds = 0.0
    agent_turn_s: Seconds = 0.0
    context_s: Seconds = 0.0
    """Building one agent's view, without the model's summaries."""
    result_s: Seconds = 0.0
    """Assembling the report."""


class Prices(_Frozen):
    """US dollars for a million tokens."""

    input_per_million_usd: Amount = 0.0
    cached_input_per_million_usd: Amount = 0.0
    output_per_million_usd: Amount = 0.0

    def cost_usd(self, prompt: int, cached: int, completion: int) -> float:
        """Dollars of a call; `cached` is a part of `prompt`."""
        fresh = (prompt - cached) * self.input_per_million_usd
        kept = cached * self.cached_input_per_million_usd
        return (fresh + kept + completion * self.output_per_million_usd) / 1e6


class Source(_Frozen):
    """Where a declared number comes from."""

    source: Annotated[str, Field(min_length=1)]
    date: date


class Profile(_Frozen):
    """A simulated model and the machine its tools run on."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    kind: Literal["calibrated", "declared"]
    about: str
    seed: Annotated[int, Field(ge=0)] = 0
    time_to_first_token_s: Seconds
    """Of an empty prompt: network, scheduling, start of a batch."""
    prefill: TokenRate
    decode: TokenRate
    """Of the tokens after the first, which comes with the prefill."""
    concurrency: Annotated[int, Field(ge=1, le=100_000)]
    """Calls served at once; others queue, first come, first served."""
    batching: Batching = Batching()
    prefix_cache: PrefixCache = PrefixCache()
    limits: Limits = Limits()
    retry: Retry = Retry()
    jitter: Jitter = Jitter()
    failure: Failure = Failure()
    context_tokens: Annotated[int, Field(ge=1)]
    text: Text
    overhead: Overhead = Overhead()
    tools: Mapping[Literal["baseline", "vectorized"], ToolCosts]
    prices: Prices = Prices()
    calibration: Mapping[str, Any] = {}
    """Of a calibrated profile: from which runs, by which code, with which residuals."""
    sources: Mapping[str, Source] = {}
    """Of a declared profile: by the field's dotted name, or that of the section it is in."""

    @model_validator(mode="after")
    def _says_where_its_numbers_come_from(self) -> Self:
        if self.kind == "calibrated" and not self.calibration:
            raise ValueError("a calibrated profile says from which runs, in 'calibration'")
        missing = [impl for impl in ("baseline", "vectorized") if impl not in self.tools]
        if missing:
            raise ValueError(f"tools needs the costs of {missing[0]!r}")
        if self.kind == "declared":
            stated = self.model_dump(exclude={"calibration", "sources", "seed"}, exclude_unset=True)
            for field in _numbers(stated):
                if not any(field == known or field.startswith(f"{known}.") for known in self.sources):
                    raise ValueError(f"a declared profile gives a source for each number; {field!r} has none")
        return self

    @property
    def fingerprint(self) -> str:
        """Hash of all that shapes a simulation; not of the texts about it."""
        shaping = self.model_dump(mode="json", exclude={"about", "calibration", "sources"})
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def load_profile(name: str) -> Profile:
    """Read and check a profile.

    Parameters
    ----------
    name
        A profile of `experiments/profiles`, or the path of a YAML file; empty for `embedded-2core`.

    Raises
    ------
    SpecError
        There is no such profile, it cannot be read, or a number is missing or out of range; names the field.
    """
    path = profile_path(name)
    try:
        return _parsed(path, path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"profile {path} cannot be read: {' '.join(str(error).split())}") from error


@lru_cache(maxsize=16)
def _parsed(path: Path, text: str) -> Profile:
    """The profile that a file's text says; the same text is read once, for each cell asks for its hash."""
    document = parse_yaml(text)
    if not isinstance(document, dict):
        raise SpecError(f"profile {path}: expected a mapping of fields, got {type(document).__name__}")
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        raise SpecError(f"profile {path}: {first_problem(error)}") from error


def profile_hash(model: str) -> str:
    """Fingerprint of the profile that a model's spec names; empty for a model that is not simulated."""
    backend, _, name = model.partition(":")
    return load_profile(name).fingerprint if backend == "simulated" else ""


def profile_path(name: str) -> Path:
    """The file of a profile by name or path; raises SpecError, with the known names, where there is none."""
    wanted = name or DEFAULT_PROFILE
    if is_file_name(wanted):
        path = Path(wanted).expanduser().resolve()
        if not path.is_file():
            raise SpecError(f"there is no profile {path}")
        return path
    known = {path.stem: path for path in sorted(_shipped().glob("*.yaml"))}
    if wanted not in known:
        raise SpecError(
            f"unknown profile {wanted!r}; known: {', '.join(known)}; or give the path of a .yaml file"
        )
    return known[wanted]


def is_file_name(name: str) -> bool:
    """Whether a profile is given by its file's path rather than by its name."""
    return name.endswith((".yaml", ".yml"))


def _shipped() -> Path:
    installed = _PACKAGE / _FOLDER
    return installed if installed.is_dir() else _PACKAGE.parent / _FOLDER


def _numbers(stated: Mapping[str, Any], inside: str = "") -> Iterator[str]:
    """Dotted names of the numbers in a nested mapping."""
    for name, value in stated.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{inside}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{inside}{name}"
