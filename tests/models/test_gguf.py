"""Reading the head of a model file before llama.cpp sees it."""

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmlab.errors import ModelUnavailableError
from swarmlab.models import Engine
from swarmlab.models.gguf import check_chat_model, read_head


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _gguf(*, version: int = 3, template: bool = True) -> bytes:
    entries = [
        _string("general.architecture") + struct.pack("<I", 8) + _string("llama"),
        _string("llama.context_length") + struct.pack("<II", 4, 2048),
        _string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + _string("a") + _string("b"),
        _string("tokenizer.ggml.scores") + struct.pack("<IIQ2f", 9, 6, 2, 0.0, 1.0),
    ]
    if template:
        entries.append(_string("tokenizer.chat_template") + struct.pack("<I", 8) + _string("{{ messages }}"))
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries)) + b"".join(entries)


def _write(folder: Path, content: bytes) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(content)
    return path


def test_the_head_tells_architecture_context_and_template(tmp_path: Path) -> None:
    """Scalars and strings are read and arrays stepped over."""
    head = read_head(_write(tmp_path, _gguf()))
    assert (head.architecture, head.context_tokens, head.has_chat_template) == ("llama", 2048, True)


def test_the_default_model_can_chat_in_8192_tokens(engine: Engine) -> None:
    """The real file says what the engine then runs with."""
    head = check_chat_model(engine.path)
    assert head.context_tokens == engine.context_tokens == 8192


def test_a_base_model_is_refused(tmp_path: Path) -> None:
    """A model without a chat template is named as a base model."""
    with pytest.raises(ModelUnavailableError, match=r"model\.gguf has no chat template"):
        check_chat_model(_write(tmp_path, _gguf(template=False)))


def test_another_file_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    """A file that is not GGUF is refused before llama.cpp sees it."""
    with pytest.raises(ModelUnavailableError, match=r"model\.gguf is not a GGUF model file"):
        read_head(_write(tmp_path, b"date,brand\n"))


def test_an_unknown_version_is_refused(tmp_path: Path) -> None:
    """A later version of the format is named, not misread."""
    with pytest.raises(ModelUnavailableError, match="version 9"):
        read_head(_write(tmp_path, _gguf(version=9)))


@given(st.integers(min_value=0, max_value=len(_gguf()) - 1))
def test_any_cut_head_is_refused(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    """Wherever the metadata is cut, the answer is our error and no other."""
    path = _write(tmp_path_factory.mktemp("cut"), _gguf()[:length])
    with pytest.raises(ModelUnavailableError, match=r"model\.gguf"):
        read_head(path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    """Arbitrary bytes after a valid start are a head without a template, or our error and no other."""
    path = _write(tmp_path_factory.mktemp("noise"), b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + noise)
    with contextlib.suppress(ModelUnavailableError):
        assert not read_head(path).has_chat_template
