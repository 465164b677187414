"""One's own photographs: a folder for each category, without part labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from icnn._check_args import SIZE, checked
from icnn.data.crops import CROP, Box, crop, no_parts, open_image
from icnn.data.record import PartDataset

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@checked(size=SIZE)
class PhotoFolder(PartDataset):
    """Photographs in one folder for each category, whole, without landmarks or part masks.

    Everything works with it but the measures that compare with parts. Taught in lesson 9.

    Args:
        root: holds the folders; their names, in alphabetical order, are the categories.
        size: side in pixels that every photograph is resized to.
        transform: see `PartDataset`.

    Raises:
        FileNotFoundError: the folder, or a photograph in it, is missing.
        ValueError: a damaged file; the message names it.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        size: int = CROP,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"root must be a folder, {root} is none")
        names = sorted(p.name for p in root.iterdir() if p.is_dir())
        paths = [
            sorted(p for p in (root / n).iterdir() if p.suffix.lower() in SUFFIXES) for n in names
        ]
        if not any(paths):
            raise FileNotFoundError(f"root: no photographs in the folders of {root}")
        crops = []
        for path in (p for group in paths for p in group):
            image = open_image(path)
            crops.append(crop(image, Box(0, 0, image.height, image.width), size))
        super().__init__(
            images=torch.from_numpy(np.stack(crops)),
            labels=torch.cat([torch.full((len(g),), k) for k, g in enumerate(paths)]),
            landmarks=torch.empty(len(crops), 0, 2),
            part_ids=no_parts(len(crops), size),
            categories=tuple(names),
            parts=(),
            transform=transform,
        )
