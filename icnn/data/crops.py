"""From a photograph and an object's box to one square crop, and points with it."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

CROP = 224  # pixels; what the ImageNet networks were trained on
MIN_AREA = 50**2  # pixels; the authors leave smaller objects out


@dataclass(frozen=True)
class Box:
    """The part of an image from (top, left) up to (bottom, right), in pixels, edges as points."""

    top: float
    left: float
    bottom: float
    right: float

    def within(self, height: int, width: int) -> "Box":
        """What of the box lies inside an image; a ValueError if nothing does."""
        box = Box(
            max(self.top, 0), max(self.left, 0), min(self.bottom, height), min(self.right, width)
        )
        if box.bottom - box.top < 1 or box.right - box.left < 1:
            raise ValueError(f"the box {self} has no pixel inside an image of {height}×{width}")
        return box

    @property
    def area(self) -> float:
        return (self.bottom - self.top) * (self.right - self.left)

    def to_crop(self, points: np.ndarray, size: int) -> np.ndarray:
        """Points (..., 2), (row, col) in the image, as points of the crop resized to size×size."""
        corner = np.array([self.top, self.left])
        extent = np.array([self.bottom - self.top, self.right - self.left])
        return (points - corner) / extent * size


def open_image(path: Path) -> Image.Image:
    """A photograph as RGB; grey and CMYK ones are converted.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, or no image.
    """
    try:
        return Image.open(path).convert("RGB")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path} is truncated or no image: {error}") from error


def crop(image: Image.Image, box: Box, size: int) -> np.ndarray:
    """The box of an image, resized to uint8 (3, size, size) whatever its shape was."""
    return _resized(image, box, size, Image.Resampling.BILINEAR).transpose(2, 0, 1)


def crop_ids(ids: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The box of a (H, W) uint8 map of part numbers, resized without mixing the numbers."""
    return _resized(Image.fromarray(ids), box, size, Image.Resampling.NEAREST)


def _resized(image: Image.Image, box: Box, size: int, how: Image.Resampling) -> np.ndarray:
    corners = (box.left, box.top, box.right, box.bottom)
    return np.asarray(image.resize((size, size), how, box=corners))


def stacked(objects: Iterable[tuple[np.ndarray, ...]]) -> dict[str, Tensor]:
    """Tensors of a `PartDataset` from crop, landmarks and perhaps part numbers of each object."""
    crops, others = _mapped(objects)
    landmarks, *ids = (torch.from_numpy(np.stack(c)) for c in zip(*others, strict=True))
    images = torch.from_numpy(crops)
    nothing = torch.zeros(1, 1, 1, dtype=torch.uint8)  # takes no room
    part_ids = ids[0] if ids else nothing.expand(len(images), *images.shape[2:])
    return {"images": images, "landmarks": landmarks.float(), "part_ids": part_ids}


def on_disk(objects: Iterable[tuple[np.ndarray, ...]]) -> list[tuple[np.ndarray, ...]]:
    """Objects whose crops need no memory while they wait to be `stacked`."""
    crops, others = _mapped(objects)
    return [(one, *other) for one, other in zip(crops, others, strict=True)]


def _mapped(objects: Iterable[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, list]:
    """The crops (N, 3, size, size) in a nameless temporary file, mapped; and what else there is.

    What is mapped is in memory while it is used, and as long as nothing else needs the room.
    """
    others = []
    with tempfile.TemporaryFile() as file:
        for image, *other in objects:
            file.write(np.ascontiguousarray(image.transpose(1, 2, 0)))  # as Pillow lays it, as ever
            others.append(other)
        if not others:
            return np.empty(0, np.uint8), others
        file.flush()
        shape = len(others), *image.shape[1:], 3
        crops = np.asarray(np.memmap(file, np.uint8, "r+", 0, shape))
        return crops.transpose(0, 3, 1, 2), others


def there(path: Path, name: str, how: str) -> Path:
    """The path of a file that a data set needs; an error that says how to get it."""
    if not path.is_file():
        raise missing(path, name, how)
    return path


def missing(path: Path, name: str, how: str) -> FileNotFoundError:
    """The error for a data set that is not there."""
    return FileNotFoundError(f"root: no {name} found, {path} is missing; {how}")
