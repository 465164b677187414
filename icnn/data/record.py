"""The one record that every data set of the series comes as."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import Dataset


@dataclass(frozen=True)
class PartDataset(Dataset):
    """Images, what they show, and where its parts are.

    Positions are (row, col) in pixels; pixel i covers [i, i+1), so its centre is at i + 0.5.

    Attributes:
        images: (N, 3, H, W) uint8.
        labels: (N,) int64, an index into `categories`; −1 where the image shows none of them.
        landmarks: (N, K, 2) float32, the point of each part in pixels, NaN where it has none.
        part_ids: (N, H, W) uint8, for each pixel 1 + the part that is seen there, 0 for none.
        categories, parts: names.
    """

    images: Tensor
    labels: Tensor
    landmarks: Tensor
    part_ids: Tensor
    categories: tuple[str, ...]
    parts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image, float32 (3, H, W) in [0, 1], and its label."""
        return self.images[index].float() / 255, int(self.labels[index])

    def floats(self) -> Tensor:
        """All images as float32 (N, 3, H, W) in [0, 1]."""
        return self.images.float() / 255

    def part_masks(self) -> Tensor:
        """(N, K, H, W) bool: where each part is seen; empty where it is absent or hidden."""
        wanted = torch.arange(1, len(self.parts) + 1, dtype=torch.uint8)
        return self.part_ids[:, None] == wanted[:, None, None]

    def subset(self, index: Tensor | slice) -> PartDataset:
        """The images with these indices, or where a (N,) bool tensor is true."""
        picked = (t[index] for t in (self.images, self.labels, self.landmarks, self.part_ids))
        return PartDataset(*picked, self.categories, self.parts)
