"""Run the experiments of lessons 8 and 10 and write their tables.

`make ablations` and `make rethink` take about an hour each on one core, `make long` a night; all
cores are used. Rows are written when a run ends, so an interrupted command goes on where it was.
The networks of `CONFIGURATIONS` are trained for this; all else is measured on the shipped networks
of lesson 5.
"""

import platform
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import version
from itertools import count, product
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

import icnn
from icnn._files import DATA, write_checksums
from icnn.course.zoo.scene import CLUTTER, draw_again
from icnn.data.shipped import PARTS
from icnn.experiments import ablation
from icnn.experiments.rethink import (
    assignment,
    faithfulness,
    familiarity,
    networks,
    redundancy,
    transfer,
    truth,
)
from icnn.experiments.table import fill, workers
from icnn.network import VARIANTS, small_cnn

SEEDS = (0, 1, 2)
EXPLAINED = 120  # test pictures
LESSON_8 = (
    *("accuracy", "instability", "tracking", "selectivity", "mass in mask", "live filters"),
    "peak spread",
)
KEPT = ("plain", "mask only", "mask + loss")
LABELLED = ("equation 4", "equation 4, labels shuffled")
LONG = (*LESSON_8, "tracking, all pictures")
LONGEST, STRIDE = ablation.Recipe(1000, 500), 20  # looked at every so many epochs
READ_OTHERWISE = ("plain, masked", "plain, max", "mask only, max", "interpretable, max")
LEARNERS = (*VARIANTS, "untrained", *READ_OTHERWISE)
TABLES: dict[str, tuple] = {}  # name of a CSV file → header, tasks, and what gives their rows


def table(name: str, *columns: str, tasks: Iterable | None = None, first: str = "network"):
    """Make a function of a network and a seed the work of a table, which has these columns."""

    def register(work: Callable[[str, int | str], Iterator[list]]):
        TABLES[name] = (first, "seed", *columns), list(tasks or seed_by_seed(VARIANTS)), work
        return work

    return register


def seed_by_seed(names: Iterable[str], seeds: Iterable[int] = SEEDS) -> list[tuple[str, int]]:
    return [(name, seed) for seed in seeds for name in names]


def trained(
    lesson: ModuleType,
    name: str,
    seed: int,
    recipe: ablation.Recipe | None = None,
    on_epoch: Callable[[icnn.SmallCNN], None] | None = None,
) -> tuple[icnn.SmallCNN, float]:
    """One network of a lesson's `CONFIGURATIONS`, and the seconds that its training took."""
    chosen = lesson.CONFIGURATIONS[name]
    images, epochs = recipe or chosen.recipe
    train = icnn.data.creatures("train").subset(slice(0, images))
    if chosen.tinted:
        train = ablation.tinted(train, seed=seed)
    few = icnn.data.creatures("validation").subset(slice(0, 500))
    model, start = lesson.build(name, seed=seed), time.perf_counter()
    icnn.fit(model, train, few, epochs=epochs, seed=seed, progress=False, on_epoch=on_epoch)
    return model, time.perf_counter() - start


@table(
    *("ablations/results", *LESSON_8, "accuracy, same tint", "accuracy, other tint", "seconds"),
    tasks=product(ablation.CONFIGURATIONS, SEEDS),
    first="configuration",
)
def ablate(name: str, seed: int) -> Iterator[list]:
    """One network of lesson 8 on test pictures, and on tinted ones where it was trained on them."""
    model, seconds = trained(ablation, name, seed)
    data, shifted = icnn.data.creatures("test"), [float("nan")] * 2
    if ablation.CONFIGURATIONS[name].tinted:
        pictures = (ablation.tinted(data, share=1.0, shift=shift) for shift in (0, 1))
        shifted = [icnn.accuracy(model, some) for some in pictures]
    found = redundancy.measure(model, data)
    yield [*(float(found[measure]) for measure in LESSON_8), *shifted, round(seconds)]


@table(
    *("ablations/labels", *LONG, "seconds"),
    tasks=seed_by_seed(LABELLED, range(8)),
    first="configuration",
)
@table("long/seeds", *LONG, "seconds", tasks=seed_by_seed(KEPT, range(50)), first="configuration")
def repeat(name: str, seed: int) -> Iterator[list]:
    """How often does a seed fail, and what do three seeds not show?"""
    model, seconds = trained(ablation, name, seed)
    yield [*look_at(model)[0], round(seconds)]


@table(
    *("long/epochs", "epoch", *LONG, "information", "same part", "same category"),
    tasks=seed_by_seed(KEPT),
    first="configuration",
)
def outlast(name: str, seed: int) -> Iterator[list]:
    """Do filters keep their part and category? The share that has those of the look before."""
    looks, epochs = [], count(1)

    def look(model: icnn.SmallCNN) -> None:
        if (epoch := next(epochs)) % STRIDE == 0:
            looks.append((epoch, *look_at(model)))

    trained(ablation, name, seed, LONGEST, look)
    same, before = [float("nan")] * 2, None
    for epoch, row, information, jobs in looks:
        if before is not None:
            same = (jobs == before).double().mean(1).tolist()
        yield [epoch, *row, information, *same]
        before = jobs


@torch.no_grad()
def look_at(model: icnn.SmallCNN) -> tuple[list[float], float, torch.Tensor]:
    """A row of `LONG`, nats of information, and each filter's part and category (2, C)."""
    data = icnn.data.creatures("test")
    found, maps = redundancy.measure(model, data), icnn.predict(model.maps, data)
    points, scores = redundancy.peak_points(model, maps)
    everywhere = icnn.best_part_tracking(points, scores, data.landmarks, top=len(data)).tracking
    tracking = everywhere[icnn.live_filters(maps)].nanmean().item()
    part = icnn.best_part_tracking(points, scores, data.landmarks).part
    category = icnn.assign_categories(maps, data.labels, len(data.categories))
    loss = icnn.filter_loss(maps, sharpness=2.0, scale=scores.mean(0).clamp_min(1e-6))
    row = [*(float(found[measure]) for measure in LESSON_8), tracking]
    return row, -loss.item(), torch.stack([part, category])


@table(
    *("rethink/runs", "split", *redundancy.MEASURES, "settled", "changes", "beta", "seconds"),
    tasks=seed_by_seed(networks.CONFIGURATIONS),
    first="configuration",
)
def rethink(name: str, seed: int) -> Iterator[list]:
    """One network of lesson 10, measured on validation and on test pictures."""
    model, seconds = trained(networks, name, seed)
    trace = getattr(model.head.layer, "trace", None)
    settled = assignment.settling(trace) if trace else (float("nan"),) * 2
    beta = getattr(model.head.layer, "beta", torch.tensor(torch.nan))
    more = [*settled, float(torch.as_tensor(beta).mean()), seconds]
    for split in ("validation", "test"):
        yield [split, *redundancy.measure(model, icnn.data.creatures(split)).values(), *more]


def network(variant: str, seed: int) -> icnn.SmallCNN:
    """A shipped network, or one that was never trained."""
    if variant == "untrained":
        return small_cnn("plain", seed=seed).eval()
    return icnn.checkpoints.load(variant, seed)


def explained() -> icnn.data.PartDataset:
    return icnn.data.creatures("test").subset(slice(0, EXPLAINED))


@table("rethink/transfer", "shots", "auroc", "penalty", tasks=seed_by_seed(LEARNERS))
def learn_dino(variant: str, seed: int) -> Iterator[list]:
    name, _, readout = variant.partition(", ")
    for shots, row in transfer.transfer(network(name, seed), readout or "head").items():
        yield [shots, *row]


@table("rethink/familiarity", "shift", "score", "auroc to choose", "auroc")
def know_strangers(variant: str, seed: int) -> Iterator[list]:
    """AUROC of familiar against unfamiliar pictures, on two halves: to choose on, and to report."""
    judge = familiarity.Familiarity(network(variant, seed), icnn.data.creatures("train"))
    known = [judge.scores(icnn.data.creatures(s).floats()) for s in ("validation", "test")]
    for shift in familiarity.SHIFTS:
        strange = judge.scores(familiarity.unfamiliar(shift))
        for score in strange:
            halves = strange[score][::2], strange[score][1::2]
            pairs = zip(known, halves, strict=True)
            yield [shift, score, *(transfer.auroc(one[score], half) for one, half in pairs)]


@table("rethink/faithfulness", "test", "fill", "method", "value", "first")
def test_explanations(variant: str, seed: int) -> Iterator[list]:
    model, test = network(variant, seed), explained()
    for (seen, method), area in faithfulness.deletion_areas(model, test.floats()).items():
        yield ["deletion", seen, method, area, float("nan")]
    found = named(variant, seed)
    places = faithfulness.claims_by_place(model, test)
    for method in ("parts, by name", *places, "area"):
        claim = (found.claims | places)[method]
        yield ["erasure", "empty scene", method, *faithfulness.agreement(claim, found)[:2]]


@cache
def named(variant: str, seed: int) -> faithfulness.Erasure:
    """What the names claim about the explained pictures."""
    known = icnn.data.creatures("validation")
    return faithfulness.erasure_claims(network(variant, seed), explained(), known)


@table("rethink/names", "method", "value", "first", "within")
def judge_names(variant: str, seed: int) -> Iterator[list]:
    for method, claim in named(variant, seed).claims.items():
        yield [method, *faithfulness.agreement(claim, named(variant, seed))]


@table("rethink/silence", "named", "another", "first")
def listen(variant: str, seed: int) -> Iterator[list]:
    """Is a filter silent where the part after which it is called was erased?"""
    model, known = network(variant, seed), icnn.data.creatures("validation")
    left = faithfulness.left_without(model, explained(), known)
    yield list(faithfulness.silence(left, faithfulness.named_filters(model, known)))


@table(
    *("rethink/name_intervals", "names minus", "mean", "low", "high"),
    tasks=product(VARIANTS, ["all"]),
)
def bound_names(variant: str, _: str) -> Iterator[list]:
    found = [named(variant, seed) for seed in SEEDS]
    for control, row in faithfulness.name_intervals(found, EXPLAINED).items():
        yield [control, *row]


@table(
    *("rethink/truth", "method", "measure", "minus", *(f"seed {s}" for s in SEEDS)),
    *("mean", "low", "high"),
    tasks=product(VARIANTS, ["all"]),
)
def know_the_truth(variant: str, _: str) -> Iterator[list]:
    """Which explanation names what matters? Filters are called by other validation pictures."""
    known, found = icnn.data.creatures("validation"), []
    known = known.subset(slice(EXPLAINED, len(known)))
    for seed in SEEDS:
        model = network(variant, seed)
        judged = (truth.judge(model, *drawn_again(s), known) for s in ("test", "validation"))
        found.append(truth.tallies(*judged))
    yield from truth.rows(found)


@cache
def drawn_again(split: str) -> list[truth.Drawings]:
    """The explained pictures without each thing, and without each part before another scene."""

    def draw(things: Iterable[str | int], moved: bool) -> truth.Drawings:
        drawn = [draw_again(split, EXPLAINED, without=one, moved=moved) for one in (None, *things)]
        return truth.Drawings(torch.from_numpy(drawn[0]), torch.from_numpy(np.stack(drawn[1:])))

    return [draw((*PARTS, *range(CLUTTER)), moved=False), draw(PARTS, moved=True)]


def main(folder: str) -> None:
    with workers() as pool:
        for name, of in TABLES.items():
            if name.startswith(folder):
                fill(DATA / f"{name}.csv", *of, pool)
    note_versions(DATA / folder / "README.md")
    write_checksums(DATA / folder)


def note_versions(readme: Path) -> None:
    """Say in a datasheet what its tables were made with."""

    def now(found: re.Match) -> str:
        name = found[1]
        number = platform.python_version() if name == "Python" else version(name).split("+")[0]
        return f"{name} {number}"

    text = readme.read_text(encoding="utf-8")
    readme.write_text(re.sub(r"(Python|torch|captum) [\d.]*\d", now, text), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
