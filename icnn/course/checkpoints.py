"""Trained networks that ship with the series, so that looking at one never waits for training.

Used from lesson 0 on; `make checkpoints` trains them again.
"""

import json
from pathlib import Path

import torch

from icnn._files import DATA, read_verified
from icnn.network import VARIANTS, SmallCNN, small_cnn

FOLDER = DATA / "checkpoints"
SEEDS = (0, 1, 2)


def load(variant: str = "interpretable", seed: int = 0, *, folder: Path = FOLDER) -> SmallCNN:
    """A network of lesson 5, trained on the creatures, in eval mode.

    One of the variants of `icnn.small_cnn`; the seed 0, 1 or 2 is of the initial weights and of the
    order of the images.

    Raises:
        ValueError: unknown variant or seed, or a file whose checksum is wrong.
        FileNotFoundError: a file is missing; the message says how to get it back.
    """
    path = checkpoint_path(variant, seed, folder)
    state = torch.load(read_verified(path), weights_only=True)
    model = small_cnn(variant)
    model.load_state_dict(state)
    return model.eval()


def history(folder: Path = FOLDER) -> dict[str, list[dict]]:
    """The training histories of the shipped networks: variant → one record for each seed."""
    return json.load(read_verified(folder / "history.json"))["runs"]


def checkpoint_path(variant: str, seed: int, folder: Path = FOLDER) -> Path:
    """Where the network of a variant and seed is kept."""
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, got {variant!r}")
    if seed not in SEEDS:
        raise ValueError(f"seed must be one of {SEEDS}, got {seed!r}")
    return folder / f"{variant.replace(' + ', '-').replace(' ', '-').lower()}-{seed}.pt"
