"""One's own photographs: a folder for each category, without part labels."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from icnn._check_args import SHARE, SIZE, checked
from icnn.data.crops import CROP, Box, crop, stacked
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT, chosen

NAMED = 5  # of the files that were skipped


@checked(split=SPLIT, train_share=SHARE, size=SIZE)
class PhotoFolder(PartDataset):
    """Photographs in one folder for each category, without landmarks or part masks.

    Read as a person sees them: turned upright, transparent places white, the first picture of an
    animation, and of each the square in the middle. Whatever Pillow can open is a photograph,
    wherever it lies in its category's folder; hidden files and folders are none. A warning at the
    end says what was skipped and why. The categories are mixed, so that every slice has its share
    of each. Everything works with it but the measures that compare with parts. Taught in lesson 9.

    Args:
        root: holds the folders; their names, in alphabetical order, are the categories.
        split: "train", "test", or "all".
        train_share: of each category's photographs, spread evenly over their names.
        size: side of the squares in pixels.
        transform: see `PartDataset`.

    Raises:
        FileNotFoundError: there is no such folder, or no photograph in it.
        ValueError: none of them belongs to the split.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "all",
        *,
        train_share: float = 0.8,
        size: int = CROP,
        transform: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"root must be a folder, {root} is none")
        skipped: dict[str, str] = {}
        groups = {folder.name: _squares(folder, size, skipped) for folder in _folders(root)}
        for name in [name for name, squares in groups.items() if not squares]:
            skipped[name] = "no photograph in this folder"
            del groups[name]
        _say(skipped)
        if not groups:
            raise FileNotFoundError(f"root: no photographs in the folders of {root}")
        objects, labels = chosen(groups, split, train_share)
        turn = np.concatenate([(np.arange(n) + 0.5) / n for n in labels.bincount().tolist()])
        order = np.argsort(turn, kind="stable")
        super().__init__(
            **stacked([objects[i] for i in order]),
            labels=labels[order],
            categories=tuple(groups),
            parts=(),
            transform=transform,
        )


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not _hidden(p.name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))  # as notebooks' checkpoints and what macOS zips up


def _squares(folder: Path, size: int, skipped: dict[str, str]) -> list[tuple[np.ndarray, ...]]:
    """Every photograph of a category once, (3, size, size), by name; and its landmarks: none."""
    squares, seen = [], {}
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_dir() or any(map(_hidden, inside.parts)):
            continue
        name = f"{folder.name}/{inside.as_posix()}"
        try:
            content = hashlib.sha256(path.read_bytes()).digest()
            if content in seen:
                skipped[name] = f"the same file as {seen[content]}"
                continue
            squares.append((_square(path, size), np.empty((0, 2))))
            seen[content] = name
        except UnidentifiedImageError:
            skipped[name] = "no image that Pillow knows"
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            skipped[name] = f"cannot be read: {error}"
    return squares


def _square(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as image:
        image = _eight_bits(ImageOps.exif_transpose(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    side = min(image.size)
    top, left = (image.height - side) / 2, (image.width - side) / 2
    return crop(image.convert("RGB"), Box(top, left, top + side, left + side), size)


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
