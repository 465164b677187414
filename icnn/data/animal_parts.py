"""The ILSVRC 2013 DET Animal-Part data set: thirty animals with a head and a front leg marked.

Zhang et al., AAAI 2017 and CVPR 2018. Used in lesson 9; `make photos` runs the benchmark on it.
"""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from icnn._check_args import checked
from icnn.data.crops import CROP, MIN_AREA, Box, crop, missing, on_disk, open_image, there
from icnn.data.download import fetch
from icnn.data.matlab import as_list, read_mat
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT, asked_for, fields_of_split

# WordNet ids and names, in the order of the paper's Table 3.
LIST = """
n01443537 goldfish, n01503061 bird, n01639765 frog, n01662784 turtle, n01674464 lizard,
n01882714 koala, n01982650 lobster, n02084071 dog, n02118333 fox, n02121808 cat, n02129165 lion,
n02129604 tiger, n02131653 bear, n02324045 rabbit, n02342885 hamster, n02355227 squirrel,
n02374451 horse, n02391049 zebra, n02395003 swine, n02398521 hippopotamus, n02402425 cattle,
n02411705 sheep, n02419796 antelope, n02437136 camel, n02444819 otter, n02454379 armadillo,
n02484322 monkey, n02503517 elephant, n02509815 red panda, n02510455 giant panda
"""
ANIMALS = dict(one.split(maxsplit=1) for one in LIST.strip().split(","))
PARTS = ("head", "front leg")
OTHER = "none of them"  # the category of the negatives
ANNOTATED = 224  # pixels; the landmarks are given in crops of this size
IMAGES = "detanimalpart"  # two repositories, side by side under the root
CODE = "interpretableCNN"
TRUTH = "code/data_input/data_input_DET-2015-subset-ILSVRC2013train"
NEGATIVES = "data/neg"
LISTINGS = "https://api.github.com/repos/zqs1022"
FILES = "https://raw.githubusercontent.com/zqs1022"
HOW = (
    "pass download=True, or clone github.com/zqs1022/detanimalpart and "
    "github.com/zqs1022/interpretableCNN into the root"
)


@checked(split=SPLIT)
class AnimalParts(PartDataset):
    """Objects cut out of photographs by their box, with the landmarks head and front leg.

    Taught in lesson 9. Needs `pip install icnn[photos]`.

    Args:
        root: the folder that holds the repositories `detanimalpart` and `interpretableCNN`.
        categories: names ("fox") or WordNet ids ("n02118333"); None takes all that are present.
        split: "train", "test", or "all".
        negatives: add the random photographs, whole, as one more category at the end.
        train_share: of each category's images, in (0, 1), spread evenly over them; the authors' 0.9
            leaves some 25 to test.
        size, transform: side of the crops in pixels, and see `PartDataset`.
        download: get what is missing from github.com, file by file, each checked against git's
            name for its content; goes on where it stopped.

    Raises:
        FileNotFoundError: images or annotations are missing; the message says how to get them.
        ValueError: unknown category, nothing in the split, or a damaged file.
        ConnectionError: `download` without a network.
    """

    def __init__(
        self,
        root: str | Path,
        categories: str | Sequence[str] | None = None,
        split: str = "train",
        *,
        negatives: bool = False,
        train_share: float = 0.9,
        size: int = CROP,
        transform: Callable[[Tensor], Tensor] | None = None,
        download: bool = False,
    ) -> None:
        root = Path(root)
        ids = _wordnet_ids(root, categories, download)
        if not (ids or negatives):
            raise ValueError("categories must not be empty without negatives")
        if download:
            _download(root, ids, negatives)
        groups = {ANIMALS[wnid]: on_disk(_category(root, wnid, size)) for wnid in ids}
        if negatives:
            groups[OTHER] = _negatives(root, size)
        fields = fields_of_split(groups, split, train_share)
        super().__init__(**fields, parts=PARTS, transform=transform)


def _wordnet_ids(root: Path, wanted: str | Sequence[str] | None, download: bool) -> list[str]:
    """The ids of the categories that are asked for, or of all that are there."""
    if wanted is None:
        found = list(ANIMALS) if download else [w for w in ANIMALS if _folder(root, w).is_dir()]
        if not found:
            raise missing(root / IMAGES, "animal parts", HOW)
        return found
    ids = {name: wnid for wnid, name in ANIMALS.items()}
    wanted = [wanted] if isinstance(wanted, str) else wanted
    return [ids[n] for n in asked_for([ANIMALS.get(name, name) for name in wanted], tuple(ids))]


def _folder(root: Path, wnid: str) -> Path:
    return root / IMAGES / f"{wnid}_obj" / "img"


def _category(root: Path, wnid: str, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each object of a category: its crop (3, size, size), and landmarks (2, 2) in crop pixels."""
    folder = _folder(root, wnid)
    boxes = _boxes(folder / "data.mat")
    points = [
        _centres(root / CODE / TRUTH / wnid / f"truth_part{k:02}.mat", len(boxes)) for k in (1, 2)
    ]
    landmarks = np.stack(points, 1) * size / ANNOTATED
    found = []
    for number, (left, top, right, bottom) in enumerate(boxes):
        box = Box(top - 1, left - 1, bottom, right)
        if box.area >= MIN_AREA:
            image = open_image(folder / "img" / f"{number + 1:05}.jpg")
            box = box.within(image.height, image.width)
            found.append((crop(image, box, size), landmarks[number]))
    if not found:
        raise ValueError(f"categories: no {ANIMALS[wnid]} of {MIN_AREA} pixels or more in {folder}")
    return found


def _negatives(root: Path, size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The random photographs, whole; nothing is marked in them."""
    found, nothing = [], np.full((len(PARTS), 2), np.nan)
    for path in sorted((root / CODE / NEGATIVES).glob("*.JPEG")):
        image = open_image(path)
        found.append((crop(image, Box(0, 0, image.height, image.width), size), nothing))
    if not found:
        raise missing(root / CODE / NEGATIVES, "negatives", HOW)
    return found


def _boxes(path: Path) -> np.ndarray:
    """(N, 4) float64: left, top, right, bottom of each object, 1-based and inclusive."""
    objects = as_list(read_mat(there(path, "animal parts", HOW))["samples"])
    names = ("xmin", "ymin", "xmax", "ymax")
    return np.array([[float(o["obj"]["bndbox"][n]) for n in names] for o in objects])


def _centres(path: Path, count: int) -> np.ndarray:
    """(N, 2) float64: a part's centre (row, col) in 224 pixels; NaN where not one is marked."""
    centres = np.full((count, 2), np.nan)
    if path.is_file():  # a goldfish has no front leg
        for number, truth in enumerate(as_list(read_mat(path)["truth"])[:count]):
            if np.size(truth["pHW_center"]) == 2:
                centres[number] = truth["pHW_center"] - 0.5  # pixel 1 has its centre at 0.5
    return centres


def _download(root: Path, ids: Sequence[str], negatives: bool) -> None:
    """Get the files of some categories from the two repositories."""
    truth = (f"{TRUTH}/{wnid}/truth_part" for wnid in ids)
    wanted = {IMAGES: tuple(f"{wnid}_obj/img/" for wnid in ids)}
    wanted[CODE] = (*truth, *[NEGATIVES] * negatives)
    for repository, folders in wanted.items():
        for entry in _listing(repository):
            if entry["type"] == "blob" and entry["path"].startswith(folders):
                url = f"{FILES}/{repository}/HEAD/{entry['path']}"
                path = root / repository / entry["path"]
                fetch(url, path, f"git:{entry['sha']}", progress=False)


def _listing(repository: str) -> list[dict]:
    """Every file of a repository with git's name for its content."""
    url = f"{LISTINGS}/{repository}/git/trees/HEAD?recursive=1"
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["tree"]
    except urllib.error.URLError as error:
        raise ConnectionError(f"could not list {url}: {error}; {HOW}") from error
