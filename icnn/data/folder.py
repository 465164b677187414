"""One's own photographs: a folder for each category, and landmarks from a table, if there are."""

import csv
import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from icnn._check_args import checked
from icnn.data.crops import CROP, Box, crop, on_disk, stacked
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT, chosen

NAMED = 5  # of the files that were skipped
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}


@checked(split=SPLIT)
class PhotoFolder(PartDataset):
    """Photographs in one folder for each category, without part masks.

    Read as a person sees them: turned upright, transparent places white, the first picture of an
    animation, and of each the square in the middle. Whatever Pillow can open is a photograph,
    wherever it lies in its category's folder; hidden files and folders are none. A warning at the
    end says what was skipped and why. The categories are mixed, so that every slice has its share
    of each. Photographs wait in a temporary file, of which memory holds what it has room for.
    Without landmarks everything works but the measures that compare with parts. Taught in lesson
    11.

    Args:
        root: holds the folders; their names, in alphabetical order, are the categories.
        split, train_share, size, transform: as for `AnimalParts`; the squares are the crops.
        landmarks: a CSV file with a line for each point, under the header picture,part,row,column:
            the file's path inside `root` with forward slashes, a name, and pixels of the upright
            photograph. Or a .json file of COCO keypoints, whose `file_name` is that path; of
            several objects in a picture the largest counts. What lies outside the square is absent,
            as is what has no line.

    Raises:
        FileNotFoundError: there is no such folder, or no photograph in it, or no such table.
        ValueError: the folders in `root` are splits; no photograph belongs to the split; the table
            has a line that is no point, or names a photograph that is not there.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "all",
        *,
        train_share: float = 0.8,
        size: int = CROP,
        transform: Callable[[Tensor], Tensor] | None = None,
        landmarks: str | Path | None = None,
    ) -> None:
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"root must be a folder, {root} is none")
        folders = _folders(root)
        if folders and SPLITS.issuperset(folder.name.lower() for folder in folders):
            names = ", ".join(folder.name for folder in folders)
            raise ValueError(f"root must hold a folder a category, got {names}: pass one of them")
        skipped = {path.name: "in no category's folder" for path in _loose(root)}
        table = _Landmarks(landmarks)
        groups = {
            folder.name: on_disk(_squares(folder, size, skipped, table)) for folder in folders
        }
        for name in [name for name, squares in groups.items() if not squares]:
            skipped[name] = "no photograph in this folder"
            del groups[name]
        _say(skipped)
        if not groups:
            raise FileNotFoundError(f"root: no photographs in the folders of {root}")
        table.check_all_found(skipped)
        objects, labels = chosen(groups, split, train_share)
        turn = np.concatenate([(np.arange(n) + 0.5) / n for n in labels.bincount().tolist()])
        order = np.argsort(turn, kind="stable")
        super().__init__(
            **stacked(objects[i] for i in order),
            labels=labels[order],
            categories=tuple(groups),
            parts=tuple(table.parts),
            transform=transform,
        )


class _Landmarks:
    """Where parts are in photographs, from a table; without one there are no parts."""

    def __init__(self, path: str | Path | None) -> None:
        self.parts: dict[str, int] = {}  # in the order of the table
        self._path = path
        self._places: dict[str, dict[str, tuple[float, float]]] = {}
        if path is None:
            return
        read = _coco if Path(path).suffix.lower() == ".json" else _table
        for picture, part, place in read(Path(path)):
            self._places.setdefault(picture, {})[part] = place
            self.parts.setdefault(part, len(self.parts))

    def take(self, name: str, box: Box, size: int) -> np.ndarray:
        """The points of a photograph in pixels of its square (K, 2), NaN where there is none."""
        points = np.full((len(self.parts), 2), np.nan)
        for part, place in self._places.pop(name, {}).items():
            point = box.to_crop(np.array(place), size)
            if point.min() >= 0 and point.max() <= size:
                points[self.parts[part]] = point
        return points

    def check_all_found(self, skipped: dict[str, str]) -> None:
        """Every photograph of the table has been there."""
        if missing := [name for name in self._places if name not in skipped]:
            raise ValueError(f"landmarks: {self._path} names {missing[0]}, which is no photograph")


def _table(path: Path) -> Iterator[tuple[str, str, tuple[float, float]]]:
    """Picture, part, and (row, column) of each line of a CSV file."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        for line, row in enumerate(csv.DictReader(file), 2):
            try:
                yield row["picture"], row["part"], (float(row["row"]), float(row["column"]))
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"landmarks: {path}, line {line}: {error!r}") from error


def _coco(path: Path) -> list[tuple[str, str, tuple[float, float]]]:
    """The same of COCO's keypoints, of the largest object in each picture; NaN if not labelled."""
    content = path.read_bytes()
    try:
        content = json.loads(content)
        pictures = {image["id"]: image["file_name"] for image in content["images"]}
        parts = {c["id"]: c["keypoints"] for c in content["categories"] if "keypoints" in c}
        labelled = [a for a in content["annotations"] if any(a.get("keypoints", ())[2::3])]
        if not labelled:
            raise ValueError("none is labelled")
        by_size = sorted(labelled, key=lambda a: a.get("area", 0))
        return [
            (picture, str(part), (float(y), float(x)) if seen else (np.nan, np.nan))
            for picture, thing in {pictures[a["image_id"]]: a for a in by_size}.items()
            for part, x, y, seen in zip(
                parts[thing["category_id"]],
                *(thing["keypoints"][i::3] for i in range(3)),
                strict=True,
            )
        ]
    except Exception as error:
        raise ValueError(f"landmarks: {path} must hold COCO keypoints: {error!r}") from error


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not _hidden(p.name))


def _loose(root: Path) -> list[Path]:
    """The files right in the root that are photographs, by their names."""
    files = [path for path in sorted(root.iterdir()) if not path.is_dir()]
    return [path for path in files if path.suffix.lower() in Image.registered_extensions()]


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))  # as notebooks' checkpoints and what macOS zips up


def _squares(
    folder: Path, size: int, skipped: dict[str, str], table: _Landmarks
) -> Iterator[tuple[np.ndarray, ...]]:
    """Every photograph of a category once, (3, size, size), by name; and its landmarks."""
    seen = {}
    for name, path in _files(folder):
        try:
            with open(path, "rb") as file:
                content = file.read()
            digest = hashlib.sha256(content).digest()
            if digest in seen:
                skipped[name] = f"the same file as {seen[digest]}"
                continue
            pixels, box = _square(content, size)
            seen[digest] = name
            yield pixels, table.take(name, box, size)
        except UnidentifiedImageError:
            skipped[name] = "no image that Pillow knows"
        except Exception as error:  # of a damaged file Pillow raises anything
            skipped[name] = f"cannot be read: {error}"


def _files(folder: Path) -> list[tuple[str, str]]:
    """Name and path of what lies in a category's folder and is not hidden, by name."""
    found = []
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not _hidden(name)]
        inside = Path(where).relative_to(folder.parent).as_posix()
        names = [name for name in names if not _hidden(name)]
        found += [(f"{inside}/{name}", os.path.join(where, name)) for name in names]
    return sorted(found, key=lambda file: file[0].split("/"))


def _square(content: bytes, size: int) -> tuple[np.ndarray, Box]:
    with Image.open(io.BytesIO(content)) as image:
        ImageOps.exif_transpose(image, in_place=True)
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if image.mode != "RGB":
        image = image.convert("RGB")
    side = min(image.size)
    top, left = (image.height - side) / 2, (image.width - side) / 2
    box = Box(top, left, top + side, left + side)
    return crop(image, box, size), box


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits in eight, which Pillow would cut off at white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its grey values are fractions, of an unknown range")
    return image


def _say(skipped: dict[str, str]) -> None:
    if skipped:
        shown = [f"{name} ({why})" for name, why in list(skipped.items())[:NAMED]]
        more = f" and {len(skipped) - NAMED} more" if len(skipped) > NAMED else ""
        warnings.warn(f"skipped {len(skipped)}: {', '.join(shown)}{more}", stacklevel=4)
