"""Speed and memory, everything side by side in one run: `make benchmark`.

Writes benchmarks/results.csv. Times are medians over rounds in which every contestant runs once, so
that a noisy neighbour disturbs all alike; on a shared machine trust ratios, not milliseconds. Where
there is a CUDA device it gets rows of its own; elsewhere those that the table has are kept.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "0")

import torch
from torch import Tensor, nn

import icnn
from icnn.course.zoo.scene import draw
from icnn.experiments.table import read_rows, write_rows

TABLE = Path(__file__).with_name("results.csv")
SIZES = ((512, 16, 14), (128, 32, 14), (48, 64, 16))  # channels, images, side
CARD_SIZES = ((512, 32, 14), (512, 128, 14), (256, 64, 14), *SIZES[1:], (2048, 64, 7))
NETWORKS = {"vgg16": 32, "resnet18": 64, "alexnet": 128, "densenet121": 32}  # images in a step
GROWTH = {  # channels, images, side
    "side": [(16, 8, side) for side in (7, 14, 28, 40, 56)],
    "filters": [(filters, 16, 14) for filters in (16, 64, 256)],
    "images": [(64, images, 14) for images in (4, 16, 64)],
}
ROUNDS = 15
MEMORY = """
import torch, icnn, resource
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
x = torch.rand(256, 512, 14, 14).requires_grad_(); x.grad = torch.zeros_like(x)
small = torch.rand(2, 2, 14, 14).requires_grad_()
options = lambda c: {"sharpness": 2.0, "scale": torch.ones(c)}
icnn.filter_loss(small, **options(2)).backward()
before = peak()
icnn.filter_loss(x, **options(512)).backward()
print((peak() - before) / (x.numel() * 4))"""


def main() -> None:
    """Run everything and write the table."""
    # Memory first: a process starts with the highest memory use of its parent on record.
    versions = f"Python {platform.python_version()}, torch {torch.__version__.split('+')[0]}"
    note = f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"
    measured = [*memory(), *layers(SIZES), *growth(), *training_step(), *the_rest()]
    rows = [[*row, f"{note}, {versions}", "cpu"] for row in measured]
    if torch.cuda.is_available():
        note = f"{torch.cuda.get_device_name()}, {versions}"
        measured = [*layers(CARD_SIZES, "cuda"), *training_step("cuda"), *networks()]
        rows += [[*row, note, "cuda"] for row in measured]
    else:
        rows += [[*row.values()] for row in read_rows(TABLE) if row["device"] == "cuda"]
    columns = ["what", "contestant", "median", "lowest", "highest", "unit", "ratio", "on"]
    write_rows(TABLE, [[*columns, "device"], *rows])
    for row in rows:
        print("{:<34}{:<24}{:>10} [{} to {}] {:<10}{:>7}  {}".format(*row))


def race(contestants: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, list]:
    """Milliseconds of each contestant in each round, after one round to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def row(what: str, name: str, values: list[float], unit: str, ratio: float | str = "") -> list:
    """A line of the table."""
    shown = [f"{f(values):.4g}" for f in (statistics.median, min, max)]
    return [what, name, *shown, unit, ratio if isinstance(ratio, str) else f"{ratio:.3f}"]


def layers(sizes: tuple, device: str = "cpu"):
    """A plain 3×3 conv layer, forward and backward, and what mask and loss add, as 1 + added."""
    for size in sizes:
        with torch.device(device):
            times = race(layer_contestants(*size))
        for name, values in times.items():
            more = statistics.median(values) / statistics.median(times["conv layer"])
            yield row(f"layer {size}", name, values, "ms", 1 + more * (name != "conv layer"))


def layer_contestants(channels: int, images: int, side: int) -> dict[str, Callable[[], object]]:
    """Functions that each do one forward and backward on the same maps."""
    torch.manual_seed(0)
    inputs = torch.randn(images, channels, side, side).requires_grad_()
    conv = nn.Conv2d(channels, channels, 3, padding=1)
    maps = torch.randn_like(inputs).relu().requires_grad_()
    layer = icnn.InterpretableLayer(channels, side).train()
    upstream = torch.ones_like(maps)
    options = {"sharpness": 2.0, "scale": torch.ones(channels)}

    def mask_and_loss() -> None:
        out = layer(maps)
        torch.autograd.backward([out, layer.losses()], [upstream, None])

    contestants = {
        "conv layer": lambda: conv(inputs).backward(upstream),
        "+ mask": lambda: layer(maps).backward(upstream),
        "+ mask + loss": mask_and_loss,
        "+ loss": lambda: icnn.filter_loss(maps, **options).backward(),
    }
    if channels * images <= 1 << 12:  # beyond, it takes several GB
        contestants["+ naive loss"] = lambda: naive_filter_loss(maps, **options).backward()
    return contestants


def naive_filter_loss(x: Tensor, *, sharpness: float, scale: Tensor) -> Tensor:
    """The loss as the paper's text reads: every template against every map, then autograd."""
    n = x.shape[-1]
    templates = icnn.part_templates(n, tau=sharpness, dtype=x.dtype, device=x.device)
    scaled = (x / scale[:, None, None])[:, :, None]
    scores = (scaled * templates).sum((-2, -1))  # an (N, C, n² + 1, n, n) tensor on the way
    prior = icnn.template_prior(n, dtype=x.dtype, device=x.device)
    return -icnn.mutual_information(scores, prior).mean()


def growth():
    """Loss and gradient against the side of the maps, the number of filters and of images."""
    for what, sizes in GROWTH.items():
        contestants = {str(size): loss_and_gradient(*size) for size in sizes}
        for (name, values), size in zip(race(contestants).items(), sizes, strict=True):
            per_unit = statistics.median(values) * 1e6 / (size[0] * size[1] * size[2] ** 2)
            yield row(f"filter loss by {what}", name, values, "ms", f"{per_unit:.0f} ns/unit")


def loss_and_gradient(channels: int, images: int, side: int) -> Callable[[], object]:
    """A function that computes the filter loss of some maps and its gradient."""
    maps = torch.randn(images, channels, side, side).relu().requires_grad_()
    options = {"sharpness": 2.0, "scale": torch.ones(channels)}
    return lambda: icnn.filter_loss(maps, **options).backward()


def training_step(device: str = "cpu"):
    """One step of the lesson's network with 64 images."""
    return steps("training step", icnn.small_cnn, icnn.network.VARIANTS, 64, 64, device)


def networks():
    """One step of larger networks on the card, bfloat16 and channels last, with 10 categories."""
    for name, images in NETWORKS.items():

        def make(variant: str, name: str = name) -> nn.Module:
            layer = None if variant == "plain" else {}
            model = icnn.make_interpretable(name, 10, weights=None, layer=layer)
            return model.to(memory_format=torch.channels_last)

        options = ("plain", "interpretable"), images, 224, "cuda", torch.bfloat16
        yield from steps(f"{name}, {images} images", make, *options)


def steps(what: str, make: Callable[[str], nn.Module], variants, *options):
    """Training steps of variants, as multiples of the plain one's; on a card also as graphs."""
    for graph in (False, True) if "cuda" in options else (False,):
        runs = {variant: step(make(variant), *options) for variant in variants}
        if graph:
            runs = {variant: captured(run) for variant, run in runs.items()}
        times = race(runs)
        for name, values in times.items():
            ratio = statistics.median(values) / statistics.median(times["plain"])
            yield row(what + ", CUDA graph" * graph, name, values, "ms", ratio)


def captured(run: Callable[[], None]) -> Callable[[], None]:
    """A training step, none taken yet, as a CUDA graph, which the processor starts at once."""
    side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def step(model: nn.Module, count: int, side: int, device: str, dtype=None) -> Callable[[], None]:
    """A function that takes one training step, under autocast if there is a dtype."""
    model.to(device).train()
    images, labels = torch.rand(count, 3, side, side), torch.arange(count) % 5
    images, labels = images.to(device), labels.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), capturable=device == "cuda")

    def run() -> None:
        optimizer.zero_grad()
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = nn.functional.cross_entropy(model(images), labels)
            loss = loss + icnn.filter_losses(model, labels)
        loss.backward()
        optimizer.step()

    return run


def memory():
    """Peak memory that the loss and its gradient need beyond the map and its gradient."""
    command = [sys.executable, "-c", MEMORY]
    values = [float(subprocess.check_output(command)) for _ in range(3)]
    yield row("memory (512, 256, 14)", "filter loss", values, "maps")


def the_rest():
    """Drawing pictures, measuring filters, importing the package."""
    start = time.perf_counter()
    for index in range(200):
        draw("train", index)
    yield row("creatures", "drawn", [200 / (time.perf_counter() - start)], "images/s")
    points, scores = 64 * torch.rand(2000, 512, 2), torch.rand(2000, 512)
    landmarks = 64 * torch.rand(2000, 5, 2)
    contestants = {
        "location_instability": lambda: icnn.location_instability(points, scores, landmarks, 64),
        "part_tracking": lambda: icnn.part_tracking(points, scores, landmarks),
    }
    for name, values in race(contestants, 5).items():
        yield row("measures (2000, 512, 5)", name, values, "ms")
    for module in ("icnn", "icnn.layer", "icnn.course.show"):
        command = [sys.executable, "-c", f"import {module}"]
        times = race({module: lambda command=command: subprocess.run(command, check=True)}, 5)
        yield row("import", module, times[module], "ms")


if __name__ == "__main__":
    main()
