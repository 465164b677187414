"""Run the experiments of lesson 10 and write their tables: `make rethink`.

About an hour on one core. Rows are written when a run ends, so an interrupted command goes on
where it was. The networks of `icnn.rethink.networks.CONFIGURATIONS` are trained for this; all else
is measured on the shipped networks of lesson 5.
"""

from __future__ import annotations

import csv
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", GOMP_SPINCOUNT="0")

import torch

import icnn
from icnn._files import DATA, write_checksums
from icnn.experiments.rethink import (
    assignment,
    faithfulness,
    familiarity,
    networks,
    redundancy,
    transfer,
)
from icnn.experiments.rethink.auroc import auroc
from icnn.network import VARIANTS, small_cnn

FOLDER = DATA / "rethink"
SEEDS = (0, 1, 2)
EXPLAINED = 120  # test pictures


def train_and_measure(name: str, seed: int) -> Iterator[list]:
    """One network of `networks.CONFIGURATIONS`, measured on validation and on test pictures."""
    model, start = networks.build(name, seed=seed), time.perf_counter()
    recipe = networks.CONFIGURATIONS[name].recipe
    train = icnn.data.creatures("train").subset(slice(0, recipe.images))
    validation = icnn.data.creatures("validation")
    few = validation.subset(slice(0, 500))
    options = {"epochs": recipe.epochs, "batch_size": networks.BATCH, "seed": seed}
    icnn.fit(model, train, few, **options, progress=False)
    seconds = time.perf_counter() - start
    trace = getattr(model.head.layer, "trace", None)
    settled = assignment.settling(trace) if trace else (float("nan"),) * 2
    beta = getattr(model.head.layer, "beta", torch.tensor(torch.nan))
    more = [*settled, float(torch.as_tensor(beta).mean()), seconds]
    for split, data in (("validation", validation), ("test", icnn.data.creatures("test"))):
        yield [split, *redundancy.measure(model, data).values(), *more]


def network(variant: str, seed: int) -> icnn.SmallCNN:
    """A shipped network, or one that was never trained."""
    if variant == "untrained":
        return small_cnn("plain", seed=seed).eval()
    return icnn.checkpoints.load(variant, seed)


def learn_dino(variant: str, seed: int) -> Iterator[list]:
    name, _, readout = variant.partition(", ")
    for shots, row in transfer.transfer(network(name, seed), readout or "head").items():
        yield [shots, *row]


def know_strangers(variant: str, seed: int) -> Iterator[list]:
    """AUROC of familiar against unfamiliar pictures, on two halves: to choose on, and to report."""
    judge = familiarity.Familiarity(network(variant, seed), icnn.data.creatures("train"))
    known = [judge.scores(icnn.data.creatures(s).floats()) for s in ("validation", "test")]
    for shift in familiarity.SHIFTS:
        strange = judge.scores(familiarity.unfamiliar(shift))
        for score in strange:
            halves = strange[score][::2], strange[score][1::2]
            pairs = zip(known, halves, strict=True)
            yield [shift, score, *(auroc(one[score], half) for one, half in pairs)]


def test_explanations(variant: str, seed: int) -> Iterator[list]:
    model, test = network(variant, seed), icnn.data.creatures("test").subset(slice(0, EXPLAINED))
    for (fill, method), area in faithfulness.deletion_areas(model, test.floats()).items():
        yield ["deletion", fill, method, area, float("nan")]
    found = named(variant, seed)
    places = faithfulness.claims_by_place(model, test)
    for method in ("parts, by name", *places, "area"):
        claim = (found.claims | places)[method]
        yield ["erasure", "empty scene", method, *faithfulness.agreement(claim, found)[:2]]


@cache
def named(variant: str, seed: int) -> faithfulness.Erasure:
    """What the names claim about the explained pictures."""
    test, known = icnn.data.creatures("test"), icnn.data.creatures("validation")
    test = test.subset(slice(0, EXPLAINED))
    return faithfulness.erasure_claims(network(variant, seed), test, known)


def judge_names(variant: str, seed: int) -> Iterator[list]:
    for method, claim in named(variant, seed).claims.items():
        yield [method, *faithfulness.agreement(claim, named(variant, seed))]


def listen(variant: str, seed: int) -> Iterator[list]:
    """Is a filter silent where the part after which it is called was erased?"""
    model, known = network(variant, seed), icnn.data.creatures("validation")
    test = icnn.data.creatures("test").subset(slice(0, EXPLAINED))
    left = faithfulness.left_without(model, test, known)
    yield list(faithfulness.silence(left, faithfulness.named_filters(model, known)))


def bound_names(variant: str, _: str) -> Iterator[list]:
    found = [named(variant, seed) for seed in SEEDS]
    for control, row in faithfulness.name_intervals(found, EXPLAINED).items():
        yield [control, *row]


SHIPPED = tuple(VARIANTS)
READ_OTHERWISE = ("plain, masked", "plain, max", "mask only, max", "interpretable, max")
LEARNERS = (*SHIPPED, "untrained", *READ_OTHERWISE)


@dataclass
class Table:
    """A CSV file whose rows start with a name and a seed; each of them is done once."""

    name: str
    work: Callable[[str, int | str], Iterator[list]]
    columns: tuple[str, ...]
    rows: tuple[str, ...] = SHIPPED
    seeds: tuple[int | str, ...] = SEEDS
    first: str = "network"

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.csv"

    def fill(self) -> None:
        """Do what is missing."""
        if not self.path.exists():
            self.write([[self.first, "seed", *self.columns]])
        with self.path.open(newline="", encoding="utf-8") as file:
            done = {(row[0], row[1]) for row in csv.reader(file)}
        for seed in self.seeds:
            for name in self.rows:
                if (name, str(seed)) not in done:
                    start = time.perf_counter()
                    self.write([[name, seed, *map(rounded, row)] for row in self.work(name, seed)])
                    print(f"{self.name}: {name}, {seed}: {time.perf_counter() - start:.0f} s")

    def write(self, lines: list[list]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)


def rounded(value: object) -> object:
    return f"{value:.4f}" if isinstance(value, float) else value


TABLES = [
    Table(
        "runs",
        train_and_measure,
        ("split", *redundancy.MEASURES, "settled", "changes", "beta", "seconds"),
        rows=tuple(networks.CONFIGURATIONS),
        first="configuration",
    ),
    Table("transfer", learn_dino, ("shots", "auroc", "penalty"), rows=LEARNERS),
    Table("familiarity", know_strangers, ("shift", "score", "auroc to choose", "auroc")),
    Table("faithfulness", test_explanations, ("test", "fill", "method", "value", "first")),
    Table("names", judge_names, ("method", "value", "first", "within")),
    Table("name_intervals", bound_names, ("names minus", "mean", "low", "high"), seeds=("all",)),
    Table("silence", listen, ("named", "another", "first")),
]


def main() -> None:
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for table in TABLES:
        table.fill()
    versions = ", ".join(f"{name} {version(name).split('+')[0]}" for name in ("torch", "captum"))
    (FOLDER / "README.md").write_text(
        README.format(
            versions=f"Python {platform.python_version()}, {versions}",
            full="{} training pictures for {} epochs".format(*networks.FULL),
            short="{} for {}".format(*networks.SHORT),
            explained=EXPLAINED,
            seeds=", ".join(map(str, SEEDS)),
        ),
        encoding="utf-8",
    )
    write_checksums(FOLDER)


README = """# The experiments of lesson 10

Made by `make rethink` ({versions}) with the code of `icnn.rethink`; seeds {seeds}.

- `runs.csv`: one network of `icnn.rethink.networks.CONFIGURATIONS` a row and split: those of 64, 16
  and 4 filters, and those with Z frozen (lesson 3), trained on {full}, the
  others on the first {short}. Dead filters are left out of the means.
- `transfer.csv`: dino against the five categories from a few examples of each, on the features of
  the shipped networks; mean AUROC over 20 draws; the penalty was chosen on validation pictures.
  `masked` and `max`: the maps are read with a mask or by their maximum, whatever the head does.
- `familiarity.csv`: AUROC of test pictures against every second unfamiliar picture (`auroc`), and
  of validation pictures against the others (`auroc to choose`).
- `faithfulness.csv`: {explained} test pictures. `deletion`: mean probability of the predicted
  category while squares are taken away. `erasure`: correlation of what a part is said to add to
  the score with what erasing it takes away, and how often the `first` part is the same.
- `names.csv`: erasure again, for the names and their controls; also the correlation `within` a
  category and part.
- `silence.csv`: what is left of a filter's peaks, on pictures of its own category, when the part
  after which it is called is erased (`named`), when `another` is, and how often the first leaves
  least.
- `name_intervals.csv`: the correlation of the names minus that of a control (`within` a category
  and part, where it says so), mean over seeds, and its 95 % interval over pictures and seeds.
"""

if __name__ == "__main__":
    main()
