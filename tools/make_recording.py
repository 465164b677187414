"""Record how filters change while three networks learn: `make recording`.

Writes data/recording: what the training replay of lesson 5 shows, what it is, and checksums. The
networks are trained anew, with seed 0 and the recipe of the shipped ones; about 80 seconds each on
one core.
"""

import os
from copy import deepcopy

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")

import numpy as np
import torch
from make_tables import note_versions

import icnn
from icnn._files import write_checksums
from icnn.course.explore.recording import FOLDER, NAME, VARIANTS
from icnn.measure import PartTracking

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # ranks of the recorded filters, by tracking at the end
RANKS = (0, 20, 40, 60, 80, 99)  # of the recorded pictures, by the filter's peak at the end


def train(variant: str) -> tuple[list[icnn.network.SmallCNN], list[float]]:
    """One network before training and after each epoch, and its validation accuracies."""
    pictures, validation = icnn.data.creatures("train"), icnn.data.creatures("validation")
    model = icnn.small_cnn(variant, seed=0).eval()
    stages, before = [deepcopy(model)], icnn.train.accuracy(model, validation)
    options = {"progress": False, "on_epoch": lambda model: stages.append(deepcopy(model))}
    history = icnn.fit(model, pictures, validation, seed=0, **options)
    print(f"{variant}: validation accuracy {history.validation_accuracy[-1]:.3f}", flush=True)
    return stages, [before, *history.validation_accuracy]


def tracking(model: icnn.network.SmallCNN) -> PartTracking:
    """The part that each filter tracks on the validation pictures, and how well."""
    validation = icnn.data.creatures("validation")
    centres = icnn.unit_centres(model, validation.images.shape[-1])
    units, scores = icnn.peaks(icnn.predict(model.maps, validation.floats()))
    return icnn.best_part_tracking(centres.pixels(units), scores, validation.landmarks)


def answers(stages: list[icnn.network.SmallCNN], filters: list[int]) -> tuple[np.ndarray, ...]:
    """Six test pictures for each filter (F, I), and one network's maps (E, F, I, n, n) of them."""
    test = icnn.data.creatures("test")
    peaks = icnn.predict(stages[-1].maps, test.floats())[:, filters].amax((2, 3))
    pictures = peaks.sort(dim=0, descending=True, stable=True).indices[list(RANKS)].T
    shown = test.floats(pictures.flatten())
    maps = torch.stack([icnn.predict(stage.maps, shown) for stage in stages])
    maps = maps.unflatten(1, pictures.shape)  # (E, F, I, C, n, n)
    own = [maps[:, f, :, number] for f, number in enumerate(filters)]
    return pictures.numpy(), torch.stack(own, 1).numpy()


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    runs, accuracy = zip(*map(train, VARIANTS), strict=True)
    tracked = [[tracking(stage) for stage in stages] for stages in runs]
    order = tracked[-1][-1].tracking.nan_to_num(-1).sort(descending=True, stable=True).indices
    filters = [int(order[round(share * (len(order) - 1))]) for share in SHARES]
    pictures, maps = map(np.stack, zip(*(answers(run, filters) for run in runs), strict=True))
    peak = maps.max((-3, -2, -1), keepdims=True)  # of a filter, over its pictures, in one epoch
    parts = np.array([[found.part[filters].numpy() for found in run] for run in tracked])
    shares = np.array([[found.tracking[filters].numpy() for found in run] for run in tracked])
    np.savez_compressed(
        FOLDER / NAME,
        maps=np.rint(255 * maps / np.maximum(peak, 1e-12)).astype(np.uint8),
        peak=peak[..., 0, 0, 0].astype(np.float32),
        part=parts.astype(np.int8),
        tracking=shares.astype(np.float32),
        accuracy=np.array(accuracy, dtype=np.float32),
        filters=np.array(filters, dtype=np.int16),
        pictures=pictures.astype(np.int16),
    )
    note_versions(FOLDER / "README.md")
    write_checksums(FOLDER)


if __name__ == "__main__":
    main()
