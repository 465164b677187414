"""Train the shipped networks: every variant, three seeds, one process for each core.

Run through `make checkpoints`. Writes data/checkpoints: weights, histories, checksums.
"""

import json
import platform
from dataclasses import asdict

import torch

import icnn
from icnn._files import write_checksums
from icnn.course.checkpoints import FOLDER, SEEDS, checkpoint_path
from icnn.experiments.table import workers
from icnn.network import VARIANTS


def train(task: tuple[str, int]) -> tuple[str, int, dict]:
    """Train and save one network; its history, with the seconds rounded."""
    variant, seed = task
    model = icnn.small_cnn(variant, seed=seed)
    data = icnn.data.creatures("train"), icnn.data.creatures("validation")
    history = icnn.fit(model, *data, epochs=icnn.train.EPOCHS, seed=seed, progress=False)
    torch.save(model.state_dict(), checkpoint_path(variant, seed))
    print(f"{variant}, seed {seed}: validation accuracy {history.validation_accuracy[-1]:.3f}")
    return variant, seed, asdict(history)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    tasks = [(variant, seed) for seed in SEEDS for variant in VARIANTS]
    with workers() as pool:
        results = pool.map(train, tasks, chunksize=1)
    runs: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
    for variant, seed, history in sorted(results, key=lambda result: result[1]):
        runs[variant].append({"seed": seed, **history})
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    record = {"versions": versions, "epochs": icnn.train.EPOCHS, "runs": runs}
    (FOLDER / "history.json").write_text(json.dumps(record, indent=1) + "\n")
    write_checksums(FOLDER)


if __name__ == "__main__":
    main()
