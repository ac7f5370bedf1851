"""Chat models: the embedded one, the simulated one, and any that LangChain knows.

`load_model` is the way in. A backend is a file here and a line in `BACKENDS`; any other name goes to
LangChain's `init_chat_model`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from swarmlab.errors import SpecError
from swarmlab.models.author import Author
from swarmlab.models.constraint import FixedSchema, prose_schema
from swarmlab.models.embedded import EmbeddedChat
from swarmlab.models.engine import Engine
from swarmlab.models.gguf import check_chat_model
from swarmlab.models.loaded import LoadedModel
from swarmlab.models.profile import Profile, is_file_name, load_profile, profile_path
from swarmlab.models.provider import load_provider
from swarmlab.models.server import SimulatedServer
from swarmlab.models.simulated import SimulatedChat
from swarmlab.models.weights import SMOLLM2, default_weights, file_sha256
from swarmlab.trace.clock import Clock, VirtualClock

PROSE_REPEAT_PENALTY = 1.15
"""Keeps a small model's prose from loops such as "Product; Product; Product"; choices are made without it."""

__all__ = [
    "BACKENDS",
    "EmbeddedChat",
    "Engine",
    "FixedSchema",
    "LoadedModel",
    "Profile",
    "SimulatedChat",
    "SimulatedServer",
    "check_model",
    "load_embedded",
    "load_model",
    "load_profile",
    "load_provider",
    "load_simulated",
    "prose_schema",
    "simulated_by",
]


def load_embedded(name: str, *, clock: Clock, seed: int = 0) -> LoadedModel:
    """Load a GGUF file into this process.

    Parameters
    ----------
    name
        Path of a GGUF file; empty for the default model, which is fetched at first use.

    Raises
    ------
    ModelUnavailableError
        No such file, not a GGUF chat model, or the default model cannot be fetched.
    """
    path = embedded_file(name)
    # The default weights were hashed a moment ago, against this very digest.
    file_hash = file_sha256(path) if name else SMOLLM2.sha256
    started_ns = clock.now_ns()
    engine = Engine(path, clock=clock)
    load_s = (clock.now_ns() - started_ns) / 1e9
    return LoadedModel(
        chat=EmbeddedChat(engine=engine, seed=seed),
        writer=EmbeddedChat(engine=engine, seed=seed, repeat_penalty=PROSE_REPEAT_PENALTY),
        id=f"embedded:{path.stem}",
        file_hash=file_hash,
        load_s=load_s,
        tokens_source="provider",
        context_tokens=engine.context_tokens,
    )


def embedded_file(name: str) -> Path:
    """The GGUF file that `embedded:NAME` stands for, fetched and checked; raises as `load_embedded`."""
    path = Path(name).expanduser().resolve() if name else default_weights()
    check_chat_model(path)
    return path


def load_simulated(name: str, *, clock: Clock, seed: int = 0) -> LoadedModel:
    """Make the simulated model of a profile: one server, shared by all runs of the simulation.

    Parameters
    ----------
    name
        A profile's name or the path of its YAML file; empty for the default profile.
    seed
        Of jitter and failures. Answers do not depend on it.

    Raises
    ------
    SpecError
        The clock is a real one, or the profile is unknown or bad.
    """
    if not isinstance(clock, VirtualClock):
        raise SpecError(
            "a simulated model runs on virtual time, and was given a real clock: give it a VirtualClock, "
            "or choose another model"
        )
    return simulated_by(Author(load_profile(name)), clock=clock, seed=seed)


def simulated_by(author: Author, *, clock: Clock, seed: int = 0) -> LoadedModel:
    """As `load_simulated`, for a profile whose author is known: what it has written it remembers."""
    profile = author.profile
    chat = SimulatedChat(server=SimulatedServer(profile, clock, seed, author), seed=seed)
    return LoadedModel(
        chat=chat,
        writer=chat,
        id=f"simulated:{profile.name}",
        file_hash=author.fingerprint,
        load_s=0.0,
        tokens_source="simulated",
        context_tokens=profile.context_tokens,
        profile=profile,
    )


def _checked_embedded(name: str) -> str:
    return str(embedded_file(name))


def _checked_simulated(name: str) -> str:
    load_profile(name)
    return str(profile_path(name)) if is_file_name(name) else name


class Backend(NamedTuple):
    """A kind of model that runs in this process."""

    load: Callable[..., LoadedModel]
    check: Callable[[str], str]
    """Checks a name without loading and returns it with a path made absolute."""


BACKENDS: dict[str, Backend] = {
    "embedded": Backend(load_embedded, _checked_embedded),
    "simulated": Backend(load_simulated, _checked_simulated),
}


def check_model(spec: str, *, clock: Clock, base_url: str | None = None) -> str:
    """Check, without loading weights, that `spec` can be loaded; fetches a missing default model.

    Returns
    -------
    str
        The spec with a file's path made absolute, so that it means the same in every working directory.

    Raises
    ------
    ModelUnavailableError, SpecError
        As `load_model`.
    """
    backend, _, name = spec.partition(":")
    if backend not in BACKENDS:
        load_provider(spec, clock=clock, base_url=base_url)
        return spec
    _refuse_base_url(spec, base_url)
    checked = BACKENDS[backend].check(name)
    return f"{backend}:{checked}" if name else spec


def load_model(spec: str, *, clock: Clock, seed: int = 0, base_url: str | None = None) -> LoadedModel:
    """Load the model `spec` names.

    Parameters
    ----------
    spec
        `embedded`, `embedded:/path/model.gguf`, `simulated`, `simulated:PROFILE` (a name or a YAML file),
        or `PROVIDER:NAME` for LangChain's `init_chat_model`.
    clock
        Measures loading and, for the embedded model, waiting in the queue; the simulated model's whole time.
    seed
        Of sampling; at temperature 0, the default, it changes nothing.
    base_url
        Address of an OpenAI-compatible server, for `openai:NAME`.

    Raises
    ------
    ModelUnavailableError
        The model is not on this machine or not known; says what to do.
    SpecError
        A `base_url` was given for a model that runs in this process; a profile is unknown or bad.
    """
    backend, _, name = spec.partition(":")
    if backend not in BACKENDS:
        return load_provider(spec, clock=clock, seed=seed, base_url=base_url)
    _refuse_base_url(spec, base_url)
    return BACKENDS[backend].load(name, clock=clock, seed=seed)


def _refuse_base_url(spec: str, base_url: str | None) -> None:
    if base_url is not None:
        raise SpecError(f"a base URL goes with a provider such as openai:NAME, not with {spec!r}")
