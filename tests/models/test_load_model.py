"""Names of models: the embedded one, files, and what cannot be used."""

from pathlib import Path

import pytest

from swarmlab.errors import ModelUnavailableError, SpecError
from swarmlab.models import BACKENDS, LoadedModel, load_model
from swarmlab.models.weights import SMOLLM2
from swarmlab.trace.clock import WallClock


def test_the_default_model_says_what_it_is(loaded: LoadedModel) -> None:
    """Identity, hash, context and the source of counts stand beside the model."""
    assert loaded.id == "embedded:SmolLM2-135M-Instruct.Q4_1"
    assert loaded.file_hash == SMOLLM2.sha256
    assert loaded.context_tokens == 8192
    assert loaded.tokens_source == "provider"
    assert loaded.load_s > 0


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
