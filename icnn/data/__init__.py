"""Images with labels, part landmarks and part masks, all as one kind of record."""

from icnn.data.record import PartDataset
from icnn.data.shipped import SPLITS, creatures

__all__ = ["SPLITS", "PartDataset", "creatures"]
