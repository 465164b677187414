"""Pascal-Part: the six animals of Pascal VOC 2010 with masks of their parts.

Chen et al., CVPR 2014; the parts are merged as the authors of the interpretable CNN merge them.
Used in lesson 9.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from icnn._check_args import checked
from icnn.data.crops import CROP, MIN_AREA, Box, crop, crop_ids, on_disk, open_image, there
from icnn.data.matlab import as_list, read_mat
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT, asked_for, fields_of_split

ANIMALS = ("bird", "cat", "cow", "dog", "horse", "sheep")
# Pascal-Part's names for the pieces of each part; a bird has legs, the others front and back ones.
PIECES = {
    "head": "head leye reye lear rear beak nose muzzle lhorn rhorn",
    "torso": "torso neck lwing rwing",
    "front leg": "lfleg lfpa rfleg rfpa lfuleg lflleg rfuleg rflleg lfho rfho",
    "back leg": "lbleg lbpa rbleg rbpa lbuleg lblleg rbuleg rblleg lbho rbho",
    "leg": "lleg lfoot rleg rfoot",
    "tail": "tail",
    "neck": "neck",
}
TAILED = ("bird", "cat", "dog")  # the authors leave the tails of the others out
IMAGES = Path("VOCdevkit") / "VOC2010"
ANNOTATIONS = "Annotations_Part"
HOW = (
    "unpack VOCtrainval_03-May-2010.tar (host.robots.ox.ac.uk/pascal/VOC/voc2010) and "
    "Pascal-Part's trainval.tar.gz (roozbehm.info/pascal-parts) into the root"
)


@checked(split=SPLIT)
class VOCParts(PartDataset):
    """Animals cut out of photographs by their box, with part masks and the centres of the parts.

    Parts are merged from Pascal-Part's pieces: head (with eyes, ears, beak, nose, muzzle, horns),
    torso (with neck and wings), front leg, back leg, leg (of birds), tail. "neck" has a landmark
    only, for the paper's location instability; its pixels count as torso. A landmark is the centre
    of the part's bounding box. Paper, section 5.2.1. Used as `AnimalParts` is in lesson 9. Needs
    `pip install icnn[photos]`. There is no `download`: nobody publishes a checksum.

    Args:
        root: the folder that holds `VOCdevkit/VOC2010` and `Annotations_Part`.
        categories: some of bird, cat, cow, dog, horse, sheep; None takes all six.
        split, train_share, size, transform: as for `AnimalParts`.

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
        root, names = Path(root), asked_for(categories or ANIMALS, ANIMALS)
        groups = {name: on_disk(_objects(root, name, size)) for name in names}
        fields = fields_of_split(groups, split, train_share)
        super().__init__(**fields, parts=tuple(PIECES), transform=transform)


def _objects(root: Path, category: str, size: int) -> list[tuple[np.ndarray, ...]]:
    """Crop, landmarks and part numbers of every object of a category that is large enough."""
    found = []
    for name in _image_names(root / IMAGES / "ImageSets" / "Main" / f"{category}_trainval.txt"):
        annotation = there(root / ANNOTATIONS / f"{name}.mat", "Pascal-Part", HOW)
        image = open_image(root / IMAGES / "JPEGImages" / f"{name}.jpg")
        for thing in as_list(read_mat(annotation)["anno"]["objects"]):
            if thing["mask"].shape != (image.height, image.width):
                shape = thing["mask"].shape
                raise ValueError(f"{annotation} does not fit its image: mask of {shape}")
            box = _bounds(thing["mask"])
            if thing["class"] == category and box and box.area >= MIN_AREA:
                ids, points = _parts(thing, category)
                points = box.to_crop(points, size)
                found.append((crop(image, box, size), points, crop_ids(ids, box, size)))
    if not found:
        raise ValueError(f"categories: no {category} of {MIN_AREA} pixels or more under {root}")
    return found


def _image_names(path: Path) -> list[str]:
    """The images that show a category: "<name> 1", or 0 where it is hard to see; not -1."""
    lines = there(path, "Pascal VOC 2010", HOW).read_text().splitlines()
    rows = [line.split() for line in lines if line.strip()]
    return [name for name, flag in rows if flag != "-1"]


def _parts(thing: dict, category: str) -> tuple[np.ndarray, np.ndarray]:
    """Part numbers (H, W) as in `PartDataset.part_ids`, and centres (parts, 2) in the image."""
    ids = np.zeros(thing["mask"].shape, np.uint8)
    centres = np.full((len(PIECES), 2), np.nan)
    for number, (part, names) in enumerate(PIECES.items()):
        pieces = [p["mask"] for p in as_list(thing["parts"]) if p["part_name"] in names.split()]
        if pieces and (part != "tail" or category in TAILED):
            mask = np.any(pieces, 0)
            if part != "neck":
                ids[mask] = number + 1
            if box := _bounds(mask):
                centres[number] = (box.top + box.bottom) / 2, (box.left + box.right) / 2
    return ids, centres


def _bounds(mask: np.ndarray) -> Box | None:
    """The smallest box around what is not 0."""
    corners = Image.fromarray(mask.astype(bool)).getbbox()
    return Box(corners[1], corners[0], corners[3], corners[2]) if corners else None
