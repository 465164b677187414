"""Record how filters change while two networks learn: `make recording`.

Writes data/recording: what the training replay of lesson 5 shows, and checksums. The networks are
seed 0 of the shipped ones, trained again; about a minute and a half each on one core.
"""

from __future__ import annotations

import os

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")

import numpy as np
import torch

import icnn
from icnn._files import write_checksums
from icnn.explore.recording import FOLDER, NAME, VARIANTS

IMAGES = 6  # the first of the test split
SHARES = (0.0, 0.25, 0.5, 1.0)  # ranks of the recorded filters, by tracking at the end


def record(variant: str) -> tuple[dict[str, np.ndarray], list[float]]:
    """Train one network; maps (E, F, I, n, n) and tracking (E, F) of all its filters, accuracy."""
    torch.set_num_threads(1)
    train, validation = icnn.data.creatures("train"), icnn.data.creatures("validation")
    shown = icnn.data.creatures("test").subset(slice(0, IMAGES)).floats()
    model = icnn.small_cnn(variant, seed=0)
    maps, tracking = [], []

    def look(model: torch.nn.Module) -> None:
        centres = icnn.unit_centres(model.features, validation.images.shape[-1])
        units, scores = icnn.peaks(icnn.predict(model.features, validation.floats()))
        points = centres.pixels(units)
        found = icnn.best_part_tracking(points, scores, validation.landmarks)
        maps.append(icnn.predict(model.features, shown).transpose(0, 1).numpy())
        tracking.append(torch.stack([found.part.float(), found.tracking], 1).numpy())

    before = icnn.accuracy(model, validation)
    look(model)
    history = icnn.fit(model, train, validation, seed=0, progress=False, on_epoch=look)
    part, share = np.moveaxis(np.stack(tracking), -1, 0)
    print(f"{variant}: validation accuracy {history.validation_accuracy[-1]:.3f}", flush=True)
    found = {"maps": np.stack(maps), "part": part.astype(np.int8), "tracking": share}
    return found, [before, *history.validation_accuracy]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    runs = {variant: record(variant) for variant in VARIANTS}
    final = np.nan_to_num(runs[VARIANTS[-1]][0]["tracking"][-1], nan=-1)
    order = np.argsort(-final, kind="stable")
    filters = order[[round(share * (len(order) - 1)) for share in SHARES]]
    kept = {name: np.stack([runs[v][0][name][:, filters] for v in VARIANTS]) for name in runs[
        VARIANTS[0]][0]}
    maps = kept.pop("maps")
    peak = maps.max((-3, -2, -1), keepdims=True)  # of a filter, over the pictures, in one epoch
    np.savez_compressed(
        FOLDER / NAME,
        maps=np.rint(255 * maps / np.maximum(peak, 1e-12)).astype(np.uint8),
        peak=peak[..., 0, 0, 0].astype(np.float32),
        part=kept["part"],
        tracking=kept["tracking"].astype(np.float32),
        accuracy=np.array([runs[v][1] for v in VARIANTS], dtype=np.float32),
        filters=filters.astype(np.int16),
    )
    write_checksums(FOLDER)


if __name__ == "__main__":
    main()
