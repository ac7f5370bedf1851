"""Data: the canonical sales frame, three sources of it, checked and fingerprinted."""

from swarmlab.data.dataset import Dataset
from swarmlab.data.fingerprint import fingerprint
from swarmlab.data.opening import SOURCES, open_dataset
from swarmlab.data.schema import CANONICAL, DIMENSIONS, EXTENSIONS, MEASURES, REQUIRED

__all__ = [
    "CANONICAL",
    "DIMENSIONS",
    "EXTENSIONS",
    "MEASURES",
    "REQUIRED",
    "SOURCES",
    "Dataset",
    "fingerprint",
    "open_dataset",
]
