"""The name under which an answer is kept: a hash of everything that it depends on."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Made once: `json.dumps` would make one for each key.
_encode = json.JSONEncoder(sort_keys=True, allow_nan=False, separators=(",", ":")).encode
_CONTAINERS = (dict, list, tuple)


def content_key(parts: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of everything an answer depends on.

    The order of a mapping's names does not matter; 1, 1.0, True and "1" are four different values; a list and
    a tuple of the same values are one.

    Raises
    ------
    TypeError
        A name in a mapping is no text: JSON would write 1, True and None as the texts they look like, and two
        contents would share a key. Or a value is none of JSON's.
    ValueError
        A number is not finite.
    """
    _check_names(parts)
    return hashlib.sha256(_encode(parts).encode("ascii")).hexdigest()


def _check_names(value: Any) -> None:
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"a key's parts are named by text, not by {name!r}")
        value = value.values()
    for inner in value:
        if isinstance(inner, _CONTAINERS):
            _check_names(inner)
