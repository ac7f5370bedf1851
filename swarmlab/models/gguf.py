"""The head of a GGUF file, read before llama.cpp is given it: is it a model, and one that can chat?

Source: the GGUF specification, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from swarmlab.errors import ModelUnavailableError

MAGIC = b"GGUF"
_KNOWN_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What the metadata says about a model."""

    architecture: str
    context_tokens: int | None
    """The context the model was trained with."""
    has_chat_template: bool


def read_head(path: Path) -> GgufHead:
    """Read the metadata of a GGUF file.

    Raises
    ------
    ModelUnavailableError
        The file does not exist, is not GGUF, or ends within its metadata; names the file.
    """
    if not path.is_file():
        raise ModelUnavailableError(f"no model file at {path}; give the path of an existing .gguf file")
    try:
        with path.open("rb") as file:
            metadata = _metadata(file, path)
    except (struct.error, EOFError, UnicodeDecodeError) as error:
        raise ModelUnavailableError(f"{path} is a damaged GGUF file: its metadata cannot be read") from error
    except OSError as error:
        raise ModelUnavailableError(f"{path} cannot be read: {error.strerror}") from error
    architecture = str(metadata.get("general.architecture", "unknown"))
    context = metadata.get(f"{architecture}.context_length")
    return GgufHead(
        architecture=architecture,
        context_tokens=context if isinstance(context, int) else None,
        has_chat_template="tokenizer.chat_template" in metadata,
    )


def check_chat_model(path: Path) -> GgufHead:
    """Read the head and insist on a chat template, without which a base model only continues text.

    Raises
    ------
    ModelUnavailableError
        As `read_head`, and for a file without a chat template.
    """
    head = read_head(path)
    if not head.has_chat_template:
        raise ModelUnavailableError(
            f"{path} has no chat template: it is a base model; use an instruct (chat) version of it"
        )
    return head


def _metadata(file: BinaryIO, path: Path) -> dict[str, Any]:
    magic = file.read(4)
    if magic != MAGIC:
        raise ModelUnavailableError(
            f"{path} is not a GGUF model file: it starts with {magic!r}, not {MAGIC!r}"
        )
    version, _tensors, entries = _unpack(file, "<IQQ")
    if version not in _KNOWN_VERSIONS:
        raise ModelUnavailableError(f"{path} is GGUF version {version}; versions 2 and 3 are known")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        key = _string(file)
        (kind,) = _unpack(file, "<I")
        metadata[key] = _value(file, kind)
    return metadata


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _string(file)
    if kind == _ARRAY:
        return _skip_array(file)
    if kind not in _SCALARS:
        raise EOFError
    return _unpack(file, f"<{_SCALARS[kind]}")[0]


def _skip_array(file: BinaryIO) -> int:
    """Step over an array (a vocabulary, mostly) and return its length."""
    kind, length = _unpack(file, "<IQ")
    if kind == _ARRAY:
        # llama.cpp reads no arrays of arrays either.
        raise EOFError
    if kind in _SCALARS:
        file.seek(struct.calcsize(f"<{_SCALARS[kind]}") * length, 1)
    else:
        for _ in range(length):
            _value(file, kind)
    return int(length)


def _string(file: BinaryIO) -> str:
    (length,) = _unpack(file, "<Q")
    return _exactly(file, length).decode()


def _unpack(file: BinaryIO, layout: str) -> tuple[Any, ...]:
    return struct.unpack(layout, _exactly(file, struct.calcsize(layout)))


def _exactly(file: BinaryIO, length: int) -> bytes:
    # A damaged length must not become a huge allocation.
    if length > 1 << 30:
        raise EOFError
    data = file.read(length)
    if len(data) != length:
        raise EOFError
    return data
