"""Images with labels, part landmarks and part masks, all as one kind of record.

The shipped creatures are used from lesson 0 on; photographs, by those who have them, in lesson 9.
"""

import importlib

from icnn.data.record import PartDataset
from icnn.data.shipped import SPLITS, creatures

# Photographs are for those who have them: these load when they are first used.
_HOME = {
    "AnimalParts": "animal_parts",
    "CUB200": "cub",
    "VOCParts": "voc_parts",
    "PhotoFolder": "folder",
}
__all__ = ["SPLITS", "PartDataset", "creatures", *_HOME]


def __getattr__(name: str):
    if name in _HOME:
        return getattr(importlib.import_module(f"icnn.data.{_HOME[name]}"), name)
    raise AttributeError(f"module 'icnn.data' has no attribute {name!r}")
