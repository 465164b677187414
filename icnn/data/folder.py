"""One's own photographs: a folder for each category, without part labels."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from icnn._check_args import SHARE, SIZE, checked
from icnn.data.crops import CROP, Box, crop, no_parts
from icnn.data.record import PartDataset
from icnn.data.split import SPLIT, of_split

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
        shares = [of_split(len(g), split, train_share).numpy() for g in groups.values()]
        chosen = [np.stack(g)[s] for g, s in zip(groups.values(), shares, strict=True)]
        turn = np.concatenate([(np.arange(len(g)) + 0.5) / len(g) for g in chosen if len(g)])
        order = np.argsort(turn, kind="stable")
        images = torch.from_numpy(np.concatenate(chosen)[order])
        labels = np.repeat(np.arange(len(chosen)), [len(g) for g in chosen])
        super().__init__(
            images=images,
            labels=torch.from_numpy(labels[order]),
            landmarks=torch.empty(len(images), 0, 2),
            part_ids=no_parts(len(images), size),
            categories=tuple(groups),
            parts=(),
            transform=transform,
        )


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not _hidden(p.name))


def _hidden(name: str) -> bool:
    return name.startswith((".", "__"))  # as notebooks' checkpoints and what macOS zips up


def _squares(folder: Path, size: int, skipped: dict[str, str]) -> list[np.ndarray]:
    """Every photograph of a category once, uint8 (3, size, size), in the order of their names."""
    squares, seen = [], {}
    for path in sorted(_files(folder)):
        name = path.relative_to(folder.parent).as_posix()
        try:
            content = hashlib.sha256(path.read_bytes()).digest()
            if content in seen:
                skipped[name] = f"the same file as {seen[content]}"
                continue
            squares.append(_square(path, size))
            seen[content] = name
        except UnidentifiedImageError:
            skipped[name] = "no image that Pillow knows"
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            skipped[name] = f"cannot be read: {error}"
    return squares


def _files(folder: Path) -> list[Path]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _hidden(name)]
        found += [Path(place) / name for name in files if not _hidden(name)]
    return found


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
