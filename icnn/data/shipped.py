"""The creatures: small pictures of six invented animals, with exact part masks and landmarks.

`data/README.md` is the datasheet. Used from lesson 0 on; `make data` draws the files again.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from icnn._check_args import checked, one_of
from icnn._files import DATA, read_verified
from icnn.data.record import PartDataset

CATEGORIES = ("cat", "rabbit", "bird", "elephant", "squirrel", "dino")
PARTS = ("head", "ear", "face", "body", "leg", "tail", "wing")
SIDE = 64  # pixels
FOLDER = DATA / "creatures"
TRAINED = CATEGORIES[:5]  # the sixth is held out
# How many images, of which categories; the order is part of each image's seed.
SPLITS: dict[str, tuple[int, tuple[str | None, ...]]] = {
    "train": (5000, TRAINED),
    "validation": (2000, TRAINED),
    "test": (2000, TRAINED),
    "held_out": (400, ("dino",)),
    "scrambled": (400, TRAINED),
    "empty": (400, (None,)),
}
COLUMNS, ROWS = 25, 40  # of images in one file


@checked(split=one_of(tuple(SPLITS)))
def creatures(split: str, *, folder: Path = FOLDER) -> PartDataset:
    """The shipped images of one split, 64×64, the same on every machine.

    "train", "validation" and "test" show cat, rabbit, bird, elephant and squirrel; "held_out" a
    sixth category, dino (label −1); "scrambled" the five with every part moved to a place of its
    own; "empty" backgrounds (label −1). A little noise, always the same, is added when the files
    are read, from `folder`. Introduced in lesson 0.

    Raises:
        ValueError: a file with a wrong checksum.
        FileNotFoundError: a file is missing; the message says how to get it back.
    """
    count, _ = SPLITS[split]
    images = _read_mosaics(folder, f"{split}-images-{{}}.webp", count)
    part_ids = _read_mosaics(folder, f"{split}-parts-{{}}.png", count)
    landmarks = np.load(read_verified(folder / f"{split}-landmarks.npy"))
    images = add_noise(images, split).transpose(0, 3, 1, 2)
    labels = [TRAINED.index(name) if name in TRAINED else -1 for name in categories_of(split)]
    return PartDataset(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        labels=torch.tensor(labels),
        landmarks=torch.from_numpy(landmarks),
        part_ids=torch.from_numpy(part_ids),
        categories=TRAINED,
        parts=PARTS,
    )


def categories_of(split: str) -> list[str | None]:
    """What each image of a split shows; the categories take turns."""
    count, names = SPLITS[split]
    return [names[i % len(names)] for i in range(count)]


def add_noise(images: np.ndarray, split: str) -> np.ndarray:
    """Add to each value a whole number from −15 to 15, small ones more often (std 6.5).

    The files hold no noise because noise cannot be compressed. Drawn from raw random bits, which
    numpy keeps the same in all its versions.
    """
    bits = np.random.PCG64(np.random.SeedSequence([99, list(SPLITS).index(split)]))
    raw = bits.random_raw(-(-images.size // 8)).astype("<u8").view(np.uint8)[: images.size]
    noise = (raw & 15).astype(np.int16) + (raw >> 4) - 15
    return np.clip(images + noise.reshape(images.shape), 0, 255).astype(np.uint8)


def _read_mosaics(folder: Path, pattern: str, count: int) -> np.ndarray:
    """The images of one split, (N, SIDE, SIDE, …), cut out of its mosaics."""
    tiles = []
    for number in range(-(-count // (COLUMNS * ROWS))):
        with Image.open(read_verified(folder / pattern.format(number))) as mosaic:
            whole = np.asarray(mosaic)
        cut = whole.reshape(-1, SIDE, COLUMNS, SIDE, *whole.shape[2:]).swapaxes(1, 2)
        tiles.append(cut.reshape(-1, SIDE, SIDE, *whole.shape[2:]))
    return np.concatenate(tiles)[:count]
