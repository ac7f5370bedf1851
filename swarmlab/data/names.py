"""Column names: the required ones are there, none twice."""

import difflib
from collections import Counter
from pathlib import Path

from swarmlab.data.schema import REQUIRED
from swarmlab.errors import DataError


def check_names(path: Path, names: tuple[str, ...]) -> None:
    """Raise DataError if a column name occurs twice or a required one is missing."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        raise DataError(f"{path}: column {twice[0]!r} occurs {names.count(twice[0])} times; keep one of them")
    missing = [name for name in REQUIRED if name not in names]
    if not missing:
        return
    plural = "s" if len(missing) > 1 else ""
    found = ", ".join(name if name.isprintable() else repr(name) for name in names)
    shown = found if len(found) <= 300 else found[:300] + " …"
    hints = "; ".join(hint for name in missing if (hint := _rename(name, names)))
    advice = hints or f"add {'them' if plural else 'it'} or rename a column"
    raise DataError(
        f"{path}: missing required column{plural} {', '.join(missing)}; {advice} (found: {shown})"
    )


def _rename(missing: str, names: tuple[str, ...]) -> str | None:
    by_key = {_key(name): name for name in names if name not in REQUIRED}
    near = difflib.get_close_matches(_key(missing), by_key, n=1, cutoff=0.6)
    return f"rename column {by_key[near[0]]!r} to {missing!r}" if near else None


def _key(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
