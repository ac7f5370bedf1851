"""A performance laboratory for LLM agent swarms: where time goes, what would pay, is the answer as good.

`run` and `arun` run an experiment, `open_results` reads one; `tools` holds the analyses, to call by hand.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmlab.lab import Result, arun, open_results, run

__all__ = ["Result", "arun", "open_results", "run", "tools"]


def __getattr__(name: str) -> Any:
    # The laboratory takes seconds to import; `import swarmlab.trace` must not pay for it.
    if name == "tools":
        return importlib.import_module("swarmlab.tools")
    if name not in __all__:
        raise AttributeError(f"module 'swarmlab' has no attribute {name!r}")
    from swarmlab import lab  # noqa: PLC0415 - see above

    return getattr(lab, name)
