"""Record how filters change while three networks learn: `make recording`.

Writes data/recording: what the training replay of lesson 5 shows, what it is, and checksums. The
networks are seed 0 of the shipped ones, trained again; about 80 seconds each on one core.
"""

from __future__ import annotations

import os
import platform

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")

import numpy as np
import torch

import icnn
from icnn._files import write_checksums
from icnn.explore.recording import FOLDER, IMAGES, NAME, VARIANTS

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # ranks of the recorded filters, by tracking at the end
README = """# A recording of a training

`{name}`: what five filters of the lessons' network answer to the first {images} test pictures,
before training and after each of its {epochs} epochs, for {variants},
made by `make recording` (Python {python}, torch {torch}). The networks are seed 0 of
`checkpoints/`, trained again; `icnn.explore.recording.Recording` says what each array is.

The five filters, numbers {filters}, are the best, the one at a quarter, the middle one,
the one at three quarters and the worst by part tracking in the interpretable network after its last
epoch. The same five are shown in all networks, which start from the same weights. Tracking and
accuracy are measured on the validation pictures; the test pictures are only looked at. Maps are kept
as whole numbers from 0 to 255.
"""


def record(variant: str) -> dict[str, np.ndarray]:
    """Train one network; the arrays of a `Recording`, for one variant and all its filters."""
    train, validation = icnn.data.creatures("train"), icnn.data.creatures("validation")
    shown = icnn.data.creatures("test").subset(slice(0, IMAGES)).floats()
    model = icnn.small_cnn(variant, seed=0)
    maps, part, tracking = [], [], []

    def look(model: torch.nn.Module) -> None:
        centres = icnn.unit_centres(model.features, validation.images.shape[-1])
        units, scores = icnn.peaks(icnn.predict(model.features, validation.floats()))
        found = icnn.best_part_tracking(centres.pixels(units), scores, validation.landmarks)
        maps.append(icnn.predict(model.features, shown).transpose(0, 1))
        part.append(found.part)
        tracking.append(found.tracking)

    before = icnn.train.accuracy(model, validation)
    look(model)
    history = icnn.fit(model, train, validation, seed=0, progress=False, on_epoch=look)
    accuracy = [before, *history.validation_accuracy]
    print(f"{variant}: validation accuracy {accuracy[-1]:.3f}", flush=True)
    found = {
        "maps": torch.stack(maps),
        "part": torch.stack(part),
        "tracking": torch.stack(tracking),
    }
    return {name: values.numpy() for name, values in found.items()} | {"accuracy": accuracy}


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    runs = [record(variant) for variant in VARIANTS]
    final = np.nan_to_num(runs[-1]["tracking"][-1], nan=-1)
    order = np.argsort(-final, kind="stable")
    filters = order[[round(share * (len(order) - 1)) for share in SHARES]]
    maps, part, tracking = (
        np.stack([run[name][:, filters] for run in runs]) for name in ("maps", "part", "tracking")
    )
    peak = maps.max((-3, -2, -1), keepdims=True)  # of a filter, over the pictures, in one epoch
    np.savez_compressed(
        FOLDER / NAME,
        maps=np.rint(255 * maps / np.maximum(peak, 1e-12)).astype(np.uint8),
        peak=peak[..., 0, 0, 0].astype(np.float32),
        part=part.astype(np.int8),
        tracking=tracking.astype(np.float32),
        accuracy=np.array([run["accuracy"] for run in runs], dtype=np.float32),
        filters=filters.astype(np.int16),
    )
    facts = {
        "name": NAME,
        "images": IMAGES,
        "epochs": maps.shape[1] - 1,
        "variants": f"{', '.join(VARIANTS[:-1])} and {VARIANTS[-1]}",
        "filters": ", ".join(map(str, filters)),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
    }
    (FOLDER / "README.md").write_text(README.format(**facts))
    write_checksums(FOLDER)


if __name__ == "__main__":
    main()
