"""The name under which a model stands in records, known before it is loaded."""

from pathlib import Path

from swarmlab.models.weights import SMOLLM2


def model_id(spec: str) -> str:
    """Return `embedded:FILE-STEM` for an embedded model, the spec itself for any other."""
    backend, _, name = spec.partition(":")
    return f"embedded:{Path(name or SMOLLM2.file_name).stem}" if backend == "embedded" else spec
