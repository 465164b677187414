"""Draw the shipped data set again: `make data`. The same files on every machine."""

import numpy as np
from PIL import Image

from icnn._files import write_checksums
from icnn.course.zoo.scene import draw
from icnn.data.shipped import COLUMNS, FOLDER, ROWS, SPLITS
from icnn.experiments.table import workers


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with workers() as pool:
        for split, (count, _) in SPLITS.items():
            drawn = pool.starmap(draw, [(split, i) for i in range(count)], chunksize=50)
            images, part_ids, landmarks = map(np.stack, zip(*drawn, strict=True))
            write_mosaics(images.transpose(0, 2, 3, 1), f"{split}-images-{{}}.webp")
            write_mosaics(part_ids, f"{split}-parts-{{}}.png")
            np.save(FOLDER / f"{split}-landmarks.npy", landmarks)
            print(f"{split}: {count} images", flush=True)
    write_checksums(FOLDER)


def write_mosaics(images: np.ndarray, pattern: str) -> None:
    """Write images (N, side, side, …) as lossless files of at most COLUMNS × ROWS tiles."""
    for number, start in enumerate(range(0, len(images), COLUMNS * ROWS)):
        tiles = images[start : start + COLUMNS * ROWS]
        side, rest = tiles.shape[1], tiles.shape[3:]
        rows = tiles.reshape(-1, COLUMNS, side, side, *rest).swapaxes(1, 2)
        mosaic = Image.fromarray(rows.reshape(-1, COLUMNS * side, *rest))
        options = {"lossless": True, "quality": 80} if pattern.endswith("webp") else {}
        mosaic.save(FOLDER / pattern.format(number), **options)


if __name__ == "__main__":
    main()
