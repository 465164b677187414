"""The one record that every data set of the series comes as."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

TENSORS = ("images", "labels", "landmarks", "part_ids")


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
        transform: what is done to each image, float32 (3, H, W) in [0, 1], before it is used.
    """

    images: Tensor
    labels: Tensor
    landmarks: Tensor
    part_ids: Tensor
    categories: tuple[str, ...]
    parts: tuple[str, ...]
    transform: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One image, as `floats` gives it, and its label."""
        return self.floats(torch.tensor([index]))[0], int(self.labels[index])

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """All images, or those with these indices: float32 (N, 3, H, W) in [0, 1], transformed."""
        images = self.images[index].float() / 255
        return torch.stack([*map(self.transform, images)]) if self.transform else images

    def part_masks(self) -> Tensor:
        """(N, K, H, W) bool: where each part is seen; empty where it is absent or hidden."""
        wanted = torch.arange(1, len(self.parts) + 1, dtype=torch.uint8)
        return self.part_ids[:, None] == wanted[:, None, None]

    def subset(self, index: Tensor | slice) -> Self:
        """The images with these indices, or where a (N,) bool tensor is true."""
        return self._with(**{name: getattr(self, name)[index] for name in TENSORS})

    def mirrored(self) -> Self:
        """The same images with left and right exchanged, landmarks and parts with them."""
        landmarks = self.landmarks.clone()
        landmarks[..., 1] = self.images.shape[-1] - landmarks[..., 1]
        return self._with(
            images=self.images.flip(-1), landmarks=landmarks, part_ids=self.part_ids.flip(-1)
        )

    def joined(self, other: Self) -> Self:
        """This data set and then another one; a ValueError if categories or parts differ."""
        if (self.categories, self.parts) != (other.categories, other.parts):
            raise ValueError(f"other must have categories {self.categories} and parts {self.parts}")
        return self._with(**{n: torch.cat([getattr(self, n), getattr(other, n)]) for n in TENSORS})

    def _with(self, **fields: object) -> Self:
        """The same data set with other tensors or names; no file is read again."""
        changed = copy.copy(self)
        for name, value in fields.items():
            object.__setattr__(changed, name, value)  # as a frozen dataclass does in __init__
        return changed
