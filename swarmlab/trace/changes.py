"""What a what-if changes about a run: plain data, and the words for it on the command line."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from swarmlab.errors import SpecError
from swarmlab.trace.spans import CATEGORIES

MODEL_CATEGORIES = ("model_prefill", "model_decode")
CACHEABLE = ("tool", "model")
FORMS = (
    "NAME=Kx (a category, `model`, a tool or an agent K times faster)",
    "workers=W (an agent's tools in parallel, W at a time)",
    "no-barriers (an agent starts when what it depends on is done)",
    "cache=H, cache:tool=H or cache:model=H (calls answered from a cache at hit rate H, 0 to 1)",
    "context=N (prompts of at most N tokens)",
    "agents=N (the work of N agents)",
    "concurrency=C (C runs at once on one model)",
    "slots=S (the model serves S calls at once)",
    "cores=P (tools share P processors)",
)


@dataclass(frozen=True)
class Changes:
    """A bundle of changes to one run; the default changes nothing."""

    speed: Mapping[str, float] = field(default_factory=dict)
    """How many times faster, by category, `model` (prefill and decode), tool's name or agent's name."""
    workers: int | None = None
    """Tool calls of one parent that do not read each other run at once, this many at most."""
    remove_barriers: bool = False
    cache: Mapping[str, float] = field(default_factory=dict)
    """Hit rate (0 to 1) of calls of `tool` or `model`; which calls hit is drawn from `seed`."""
    context_tokens: int | None = None
    """Prompts longer than this are cut: their prefill takes as long as one of that length does."""
    agents: int | None = None
    """Agents that the work is left to; see `swarmlab.trace.replay.spared_by_fewer_agents`."""
    concurrency: int = 1
    """Runs of the same trace that start together; they share the model, and `cores` if set."""
    slots: int | None = None
    """Calls that the model serves at once; None for as many as the trace shows (`replay_plan`)."""
    cores: float | None = None
    """Processors that tool calls share equally; None when they do not slow each other."""
    seed: int = 0

    @property
    def is_drawn(self) -> bool:
        """The outcome depends on `seed`: some hit rate is neither 0 nor 1."""
        return any(0 < rate < 1 for rate in self.cache.values())


def parse_changes(texts: Iterable[str]) -> Changes:
    """Read changes as the command line gives them; see `FORMS`.

    Raises
    ------
    SpecError
        A change is unknown, stands twice or has a bad value; says which and lists the forms.
    """
    changes = Changes()
    seen: set[str] = set()
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if name in seen:
            raise SpecError(f"change {name!r} is given twice")
        seen.add(name)
        changes = _with(changes, text, name, value)
    if not seen:
        raise SpecError(f"no change given; {_forms()}")
    return changes


def _with(changes: Changes, text: str, name: str, value: str) -> Changes:
    if name == "no-barriers" and not value:
        return replace(changes, remove_barriers=True)
    if name in ("workers", "context", "agents", "concurrency", "slots"):
        field_name = "context_tokens" if name == "context" else name
        return replace(changes, **{field_name: _whole(text, value)})  # type: ignore[arg-type]
    if name == "cores":
        return replace(changes, cores=_positive(text, value))
    if name == "cache" or name.startswith("cache:"):
        what = name.partition(":")[2]
        if what and what not in CACHEABLE:
            raise SpecError(f"change {text!r}: {what!r} cannot be cached; use cache:tool or cache:model")
        rate = _number(text, value)
        if not 0 <= rate <= 1:
            raise SpecError(f"change {text!r}: a hit rate lies between 0 and 1")
        return replace(changes, cache={**changes.cache, **dict.fromkeys([what] if what else CACHEABLE, rate)})
    faster = re.fullmatch(r"(.+)x", value)
    if not name or faster is None:
        raise SpecError(f"change {text!r} is not known; {_forms()}")
    return replace(changes, speed={**changes.speed, name: _positive(text, faster[1])})


def check_names(changes: Changes, names: Iterable[str]) -> None:
    """Refuse a speed-up of something that the trace does not have, which would change nothing in silence.

    Parameters
    ----------
    names
        Categories, tools and agents that occur in the trace.

    Raises
    ------
    SpecError
        Names the unknown one and what there is.
    """
    known = set(names)
    if known & set(MODEL_CATEGORIES):
        known.add("model")
    for name in changes.speed:
        if name not in known:
            kind = (
                "does not occur in this trace"
                if name in CATEGORIES
                else "is no category, tool or agent of it"
            )
            raise SpecError(f"change {name!r} {kind}; there are {', '.join(sorted(known))}")


def _whole(text: str, value: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < 1:
        raise SpecError(f"change {text!r}: expected a whole number of 1 or more")
    return int(value)


def _positive(text: str, value: str) -> float:
    number = _number(text, value)
    if number <= 0:
        raise SpecError(f"change {text!r}: expected a number above 0")
    return number


def _number(text: str, value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", value):
        raise SpecError(f"change {text!r}: {value!r} is not a number such as 2 or 0.5")
    return float(value)


def _forms() -> str:
    return "a change is one of: " + "; ".join(FORMS)
