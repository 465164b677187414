"""CUB-200-2011: 200 species of birds with 15 landmarks each.

Wah et al., Caltech technical report CNS-TR-2011-001. Used in lesson 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from icnn._check_args import SIZE, checked
from icnn.data.crops import CROP, Box, crop, missing, no_parts, open_image
from icnn.data.download import check_unpacks, extract, fetch
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT

FOLDER = "CUB_200_2011"
URL = f"https://data.caltech.edu/records/65de6-vp158/files/{FOLDER}.tgz"
CHECKSUM = "md5:97eceeb196236b17998738112f37df78"
HOW = f"pass download=True, or unpack {FOLDER}.tgz into the root"


@checked(split=SPLIT, size=SIZE)
class CUB200(PartDataset):
    """Birds cut out of photographs by their box, with 15 landmarks in crop pixels.

    Used as `AnimalParts` is in lesson 9.

    Args:
        root: the folder that holds `CUB_200_2011`.
        split: "train" or "test", as `train_test_split.txt` says, or "all".
        size: side of the crops in pixels.
        transform: see `PartDataset`.
        download: get and unpack the archive (1.1 GB), checked by its MD5; goes on where it stopped.

    Raises:
        FileNotFoundError: a file is missing; the message says how to get it.
        ValueError: a damaged file.
        ConnectionError: `download` without a network.
        RuntimeError: `download` by a Python older than 3.11.4.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        size: int = CROP,
        transform: Callable[[Tensor], Tensor] | None = None,
        download: bool = False,
    ) -> None:
        folder = Path(root) / FOLDER
        if download and not (folder / "images.txt").is_file():
            archive = Path(root) / f"{FOLDER}.tgz"
            check_unpacks(Path(root))
            fetch(URL, archive, CHECKSUM)
            extract(archive, Path(root))
        names, parts = _names(folder / "classes.txt"), _names(folder / "parts" / "parts.txt")
        ids = _chosen(folder, split)
        boxes = _numbers(folder / "bounding_boxes.txt", 4, ids)
        points = _points(folder / "parts" / "part_locs.txt", len(parts), ids)
        labels = _numbers(folder / "image_class_labels.txt", 1, ids)
        paths = _complete(_names(folder / "images.txt"), folder / "images.txt", ids)
        crops, landmarks = [], []
        for i in ids:
            left, top, width, height = boxes[i]
            image = open_image(folder / "images" / paths[i])
            box = Box(top, left, top + height, left + width).within(image.height, image.width)
            crops.append(crop(image, box, size))
            landmarks.append(box.to_crop(points[i], size))
        super().__init__(
            images=torch.from_numpy(np.stack(crops)),
            labels=torch.tensor([int(labels[i][0]) - 1 for i in ids]),
            landmarks=torch.from_numpy(np.stack(landmarks)).float(),
            part_ids=no_parts(len(ids), size),
            categories=tuple(names.values()),
            parts=tuple(parts.values()),
            transform=transform,
        )


def _rows(path: Path) -> list[list[str]]:
    """The lines of a text file as words, whatever the line ends are."""
    if not path.is_file():
        raise missing(path, "CUB-200-2011", HOW)
    return [line.split() for line in path.read_text().splitlines() if line.strip()]


def _names(path: Path) -> dict[int, str]:
    try:
        return {int(number): " ".join(words) for number, *words in _rows(path)}
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _numbers(path: Path, columns: int, ids: Sequence[int] = ()) -> dict[int, list[float]]:
    """So many numbers for each image, for these images at least."""
    found = {}
    for row in _rows(path):
        try:
            number, *values = map(float, row)
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        if len(values) != columns:
            raise ValueError(f"{path} is damaged: {' '.join(row)!r} has not {columns + 1} numbers")
        found[int(number)] = values
    return _complete(found, path, ids)


def _complete(table: dict, path: Path, ids: Sequence[int]) -> dict:
    for number in ids:
        if number not in table:
            raise ValueError(f"{path} is damaged: it has nothing for image {number}")
    return table


def _chosen(folder: Path, split: str) -> list[int]:
    """The numbers of the images of a split."""
    path = folder / "train_test_split.txt"
    wanted = {"train": (1,), "test": (0,), "all": (0, 1)}[split]
    found = [number for number, (flag,) in _numbers(path, 1).items() if flag in wanted]
    if not found:
        raise ValueError(f"{path} is damaged: it has no image of the split {split!r}")
    return found


def _points(path: Path, n_parts: int, ids: Sequence[int]) -> dict[int, np.ndarray]:
    """Image number → (parts, 2) float64 (row, col) in the image, NaN where a part is not seen."""
    points: dict[int, np.ndarray] = {}
    for row in _rows(path):
        try:
            number, part, x, y, seen = map(float, row)
            place = points.setdefault(int(number), np.full((n_parts, 2), np.nan))
            if seen:
                place[int(part) - 1] = y, x
        except (ValueError, IndexError) as error:
            raise ValueError(f"{path} is damaged, in {' '.join(row)!r}: {error}") from error
    return _complete(points, path, ids)
