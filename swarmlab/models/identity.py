"""The name under which a model stands in records, known before it is loaded."""

from pathlib import Path

from swarmlab.models.profile import DEFAULT_PROFILE, is_file_name, load_profile
from swarmlab.models.weights import SMOLLM2


def model_id(spec: str) -> str:
    """Return `embedded:FILE-STEM`, `simulated:PROFILE-NAME`, or for any other model the spec itself.

    Raises
    ------
    SpecError
        A profile's file cannot be read.
    """
    backend, _, name = spec.partition(":")
    if backend == "embedded":
        return f"embedded:{Path(name or SMOLLM2.file_name).stem}"
    if backend == "simulated":
        return f"simulated:{load_profile(name).name if is_file_name(name) else name or DEFAULT_PROFILE}"
    return spec
