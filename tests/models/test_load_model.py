"""Names of models: the embedded one, files, and what cannot be used."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarmlab import models
from swarmlab.errors import ModelUnavailableError, SpecError
from swarmlab.models import BACKENDS, LoadedModel, load_model, weights
from swarmlab.models.weights import SMOLLM2, default_weights, file_sha256
from swarmlab.trace.clock import WallClock


def test_the_default_model_says_what_it_is(loaded: LoadedModel) -> None:
    """Identity, hash, context and the source of counts stand beside the model."""
    assert loaded.id == "embedded:SmolLM2-135M-Instruct.Q4_1"
    assert loaded.file_hash == SMOLLM2.sha256
    assert loaded.context_tokens == 8192
    assert loaded.tokens_source == "provider"
    assert loaded.load_s > 0


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Files hashed so far; the engine is played, so that nothing but the weights' bytes is read."""
    files: list[Path] = []

    def counted(path: Path) -> str:
        files.append(path)
        return file_sha256(path)

    monkeypatch.setattr(weights, "file_sha256", counted)
    monkeypatch.setattr(models, "file_sha256", counted)
    monkeypatch.setattr(models, "Engine", lambda *_, **__: SimpleNamespace(context_tokens=1))
    monkeypatch.setattr(models, "EmbeddedChat", SimpleNamespace)
    return files


def test_the_default_weights_are_hashed_once_a_load(loaded: LoadedModel, hashed: list[Path]) -> None:
    """The check against the pinned digest is the only time that the whole file is read for its hash."""
    again = load_model("embedded", clock=WallClock())
    assert again.file_hash == loaded.file_hash == SMOLLM2.sha256
    assert len(hashed) == 1


def test_a_file_of_ones_own_is_hashed_once_a_load(
    loaded: LoadedModel, hashed: list[Path], tmp_path: Path
) -> None:
    """A file that nobody pinned is known by the hash of its own bytes."""
    path = tmp_path / "own.gguf"
    shutil.copyfile(default_weights(), path)
    hashed.clear()
    again = load_model(f"embedded:{path}", clock=WallClock())
    assert (again.id, again.file_hash) == ("embedded:own", loaded.file_hash)
    assert hashed == [path]


def test_backends_are_a_literal_table() -> None:
    """The embedded model is a line in the table."""
    assert "embedded" in BACKENDS


def test_a_missing_file_is_named() -> None:
    """A path that does not exist is in the message."""
    with pytest.raises(ModelUnavailableError, match=r"no model file at /missing\.gguf"):
        load_model("embedded:/missing.gguf", clock=WallClock())


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    """A file without the GGUF magic is refused and named."""
    path = tmp_path / "sales.csv"
    path.write_text("sale_date,brand\n")
    with pytest.raises(ModelUnavailableError, match=r"sales\.csv is not a GGUF model file"):
        load_model(f"embedded:{path}", clock=WallClock())


def test_a_base_url_does_not_go_with_the_embedded_model() -> None:
    """A base URL that would be ignored is an error."""
    with pytest.raises(SpecError, match="base URL"):
        load_model("embedded", clock=WallClock(), base_url="http://127.0.0.1:1/v1")


@pytest.mark.parametrize("spec", ["gibberish", "nobody:model", ""])
def test_an_unknown_model_says_how_models_are_named(spec: str) -> None:
    """An unknown name or provider is answered with the forms that exist."""
    with pytest.raises(ModelUnavailableError, match=r"embedded, embedded:/path/file\.gguf or PROVIDER:NAME"):
        load_model(spec, clock=WallClock())
