"""Pascal-Part: the six animals of Pascal VOC 2010 with masks of their parts.

Chen et al., CVPR 2014; the parts are merged as the authors of the interpretable CNN merge them.
Used in lesson 9.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from icnn._check_args import SHARE, SIZE, checked
from icnn.data.crops import CROP, Box, crop, crop_ids, missing, open_image
from icnn.data.matlab import as_list, read_mat
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT, of_split

ANIMALS = ("bird", "cat", "cow", "dog", "horse", "sheep")
PARTS = ("head", "torso", "front leg", "back leg", "leg", "tail", "neck")
# Pascal-Part's names for the pieces of each part; a bird has legs, the others front and back ones.
PIECES = {
    "head": "head leye reye lear rear beak nose muzzle lhorn rhorn",
    "torso": "torso neck lwing rwing",
    "front leg": "lfleg lfpa rfleg rfpa lfuleg lflleg rfuleg rflleg lfho rfho",
    "back leg": "lbleg lbpa rbleg rbpa lbuleg lblleg rbuleg rblleg lbho rbho",
    "leg": "lleg lfoot rleg rfoot",
    "tail": "tail",
}
PART_OF = {piece: PARTS.index(part) for part, pieces in PIECES.items() for piece in pieces.split()}
TAILED = ("bird", "cat", "dog")  # the authors leave the tails of the others out
MIN_AREA = 50**2  # pixels of an object's box
IMAGES = Path("VOCdevkit") / "VOC2010"
ANNOTATIONS = "Annotations_Part"
HOW = (
    "unpack VOCtrainval_03-May-2010.tar (host.robots.ox.ac.uk/pascal/VOC/voc2010) and "
    "Pascal-Part's trainval.tar.gz (roozbehm.info/pascal-parts) into the root"
)


@checked(split=SPLIT, train_share=SHARE, size=SIZE)
class VOCParts(PartDataset):
    """Animals cut out of photographs by their box, with part masks and the centres of the parts.

    Parts are merged from Pascal-Part's pieces: head (with eyes, ears, beak, nose, muzzle, horns),
    torso (with neck and wings), front leg, back leg, leg (of birds), tail. "neck" has a landmark
    only, because the paper's location instability uses it; its pixels count as torso. A landmark is
    the centre of the part's bounding box. Paper, section 5.2.1. Used as `AnimalParts` is in
    lesson 9. Needs `pip install icnn[photos]`. There is no `download`: nobody publishes a checksum.

    Args:
        root: the folder that holds `VOCdevkit/VOC2010` and `Annotations_Part`.
        categories: some of bird, cat, cow, dog, horse, sheep; None takes all six.
        split, train_share: as for `AnimalParts`.
        size: side of the crops in pixels.
        transform: see `PartDataset`.

    Raises:
        FileNotFoundError: a file is missing; the message says how to get it.
        ValueError: unknown category, or a damaged file.
    """

    def __init__(
        self,
        root: str | Path,
        categories: str | Sequence[str] | None = None,
        split: str = "train",
        *,
        train_share: float = 0.9,
        size: int = CROP,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        names = [categories] if isinstance(categories, str) else list(categories or ANIMALS)
        for name in names:
            if name not in ANIMALS:
                raise ValueError(f"categories must be among {', '.join(ANIMALS)}, got {name!r}")
        found = [_of_split(_objects(Path(root), n, size), split, train_share) for n in names]
        if not any(found):
            raise ValueError(f"categories: no object of {', '.join(names)} in the split {split!r}")
        images, ids, landmarks = zip(*(item for group in found for item in group), strict=True)
        super().__init__(
            images=torch.from_numpy(np.stack(images)),
            labels=torch.cat([torch.full((len(g),), k) for k, g in enumerate(found)]),
            landmarks=torch.from_numpy(np.stack(landmarks)).float(),
            part_ids=torch.from_numpy(np.stack(ids)),
            categories=tuple(names),
            parts=PARTS,
            transform=transform,
        )


def _objects(root: Path, category: str, size: int) -> list[tuple[np.ndarray, ...]]:
    """Crop, part numbers and landmarks of every object of a category that is large enough."""
    found = []
    for name in _image_names(root / IMAGES / "ImageSets" / "Main" / f"{category}_trainval.txt"):
        annotation = root / ANNOTATIONS / f"{name}.mat"
        if not annotation.is_file():
            raise missing(annotation, "Pascal-Part", HOW)
        image = open_image(root / IMAGES / "JPEGImages" / f"{name}.jpg")
        for thing in as_list(read_mat(annotation)["anno"]["objects"]):
            mask = thing["mask"].astype(bool)
            if mask.shape != (image.height, image.width):
                raise ValueError(f"{annotation} does not fit its image: mask of {mask.shape}")
            if thing["class"] == category and (box := _bounds(mask)) and _area(box) >= MIN_AREA:
                ids, points = _parts(thing, category)
                found.append(
                    (crop(image, box, size), crop_ids(ids, box, size), box.to_crop(points, size))
                )
    if not found:
        raise ValueError(f"categories: no {category} of {MIN_AREA} pixels or more under {root}")
    return found


def _image_names(path: Path) -> list[str]:
    """The images that show a category: "<name> 1", or 0 where it is hard to see; not -1."""
    if not path.is_file():
        raise missing(path, "Pascal VOC 2010", HOW)
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    return [name for name, flag in rows if flag != "-1"]


def _parts(thing: dict, category: str) -> tuple[np.ndarray, np.ndarray]:
    """Part numbers (H, W) as in `PartDataset.part_ids`, and centres (parts, 2) in the image."""
    masks = np.zeros((len(PARTS), *thing["mask"].shape), bool)
    for piece in as_list(thing["parts"]):
        part = PART_OF.get(piece["part_name"])
        if part is None or (PARTS[part] == "tail" and category not in TAILED):
            continue
        masks[part] |= piece["mask"].astype(bool)
        if piece["part_name"] == "neck":
            masks[PARTS.index("neck")] |= piece["mask"].astype(bool)
    ids = np.zeros(thing["mask"].shape, np.uint8)
    for number, mask in enumerate(masks[:-1]):
        ids[mask] = number + 1
    centres = [_centre(mask) for mask in masks]
    return ids, np.array(centres)


def _bounds(mask: np.ndarray) -> Box | None:
    """The smallest box around what is true."""
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    return Box(rows[0], columns[0], rows[-1] + 1, columns[-1] + 1) if len(rows) else None


def _centre(mask: np.ndarray) -> tuple[float, float]:
    box = _bounds(mask)
    return ((box.top + box.bottom) / 2, (box.left + box.right) / 2) if box else (np.nan, np.nan)


def _area(box: Box) -> float:
    return (box.bottom - box.top) * (box.right - box.left)


def _of_split(objects: list, split: str, share: float) -> list:
    chosen = of_split(len(objects), split, share).tolist()
    return [thing for thing, wanted in zip(objects, chosen, strict=True) if wanted]
