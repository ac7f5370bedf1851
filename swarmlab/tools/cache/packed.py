"""A value as MessagePack and back, exactly: no number is written out in decimals only to be read again."""

import json
import math
import re
from typing import Any

import ormsgpack

_EXACT = (
    ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_UUID
)
_MAY_BE_NO_NUMBER = re.compile(rb"\xcb[\x7f\xff][\xf0\xf8]\x00{6}")
"""NaN or infinity as arithmetic makes them, packed; within a text or a number it means nothing."""
_IS_JSON = 0xC1
"""The one byte with which MessagePack begins nothing."""
# In the order of the value's own names, so that a stored answer reads as it was computed.
_encode_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def pack(value: Any) -> bytes:
    """The value of numbers, text, None, lists and dicts; a tuple becomes a list, a name that is no text one.

    Raises
    ------
    ValueError
        It holds NaN or infinity.
    TypeError
        It holds something else.
    """
    try:
        packed = ormsgpack.packb(value, option=_EXACT)
    except TypeError:
        # A number of more than 64 bits, half a surrogate pair, an enumeration; or what JSON has no way for.
        return bytes([_IS_JSON]) + _encode_json(value).encode("ascii")
    if _MAY_BE_NO_NUMBER.search(packed):
        _check_numbers(value)
    return packed


def unpack(packed: bytes) -> Any:
    """The value that was packed, an object of the caller's own."""
    return json.loads(packed[1:]) if packed[0] == _IS_JSON else ormsgpack.unpackb(packed)


def _check_numbers(value: Any) -> None:
    """Raise ValueError at a number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that an answer may hold")
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        _check_numbers(part)
