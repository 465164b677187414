"""CUB-200-2011: 200 species of birds with 15 landmarks each.

Wah et al., Caltech technical report CNS-TR-2011-001. Used in lesson 9.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from icnn._check_args import blaming, checked
from icnn.data.crops import CROP, Box, crop, open_image, stacked, there
from icnn.data.download import check_unpacks, extract, fetch
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT

FOLDER = "CUB_200_2011"
URL = f"https://data.caltech.edu/records/65de6-vp158/files/{FOLDER}.tgz"
CHECKSUM = "md5:97eceeb196236b17998738112f37df78"
HOW = f"pass download=True, or unpack {FOLDER}.tgz into the root"


@checked(split=SPLIT)
class CUB200(PartDataset):
    """Birds cut out of photographs by their box, with 15 landmarks in crop pixels.

    Used as `AnimalParts` is in lesson 9.

    Args:
        root: the folder that holds `CUB_200_2011`.
        split: "train" or "test", as `train_test_split.txt` says, or "all".
        size, transform: as for `AnimalParts`.
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
        names, parts = _Table(folder / "classes.txt"), _Table(folder / "parts" / "parts.txt")
        splits, paths = folder / "train_test_split.txt", _Table(folder / "images.txt")
        wanted = {"train": (1,), "test": (0,), "all": (0, 1)}[split]
        ids = [image for image, flag in _Table(splits, _number).items() if flag in wanted]
        if not ids:
            raise ValueError(f"{splits} is damaged: it has no image of the split {split!r}")
        labels = _Table(folder / "image_class_labels.txt", _number)
        boxes = _Table(folder / "bounding_boxes.txt", _box)
        places = _Table(folder / "parts" / "part_locs.txt", _place, keys=2)

        def objects() -> Iterator[tuple[np.ndarray, ...]]:
            for image in ids:
                photo = open_image(folder / "images" / paths[image])
                box = boxes[image].within(photo.height, photo.width)
                points = np.array([places[image + part] for part in parts])
                yield crop(photo, box, size), box.to_crop(points, size)

        super().__init__(
            **stacked(objects()),
            labels=torch.tensor([labels[image] - 1 for image in ids]),
            categories=tuple(names.values()),
            parts=tuple(parts.values()),
            transform=transform,
        )


def _number(value: str) -> int:
    return int(value)


def _box(left: str, top: str, width: str, height: str) -> Box:
    left, top = float(left), float(top)
    return Box(top, left, top + float(height), left + float(width))


def _place(x: str, y: str, seen: str) -> tuple[float, float]:
    """(row, col) in the image, NaN where a part is not seen."""
    return (float(y), float(x)) if int(seen) else (np.nan, np.nan)


class _Table(dict):
    """What each line of a text file says, by the one or two numbers that it starts with."""

    def __init__(self, path: Path, entry: Callable | None = None, *, keys: int = 1) -> None:
        self.path = there(path, "CUB-200-2011", HOW)
        for words in filter(None, map(str.split, path.read_text().splitlines())):
            with blaming(f"{path} is damaged, in {' '.join(words)!r}", TypeError, ValueError):
                numbers, rest = tuple(map(int, words[:keys])), words[keys:]
                self[numbers] = entry(*rest) if entry else " ".join(rest)

    def __missing__(self, numbers: tuple[int, ...]) -> None:
        named = " and part ".join(map(str, numbers))
        raise ValueError(f"{self.path} is damaged: it has nothing for image {named}")
