"""More than one process: the same loss, gradient and running means as one with the whole batch."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import icnn

IMAGES = 12


def network() -> nn.Sequential:
    """A conv layer, ReLU and an interpretable layer with both losses, in float64."""
    torch.manual_seed(0)
    layer = icnn.InterpretableLayer(5, 6, weight=1.0, category_weight=0.7)
    return nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.ReLU(), layer).double().train()


def batch(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(IMAGES, 2, 6, 6, dtype=torch.float64, generator=generator)
    images[: IMAGES // 2] *= scale  # the processes see very different images
    return images, torch.arange(IMAGES) * 4 // IMAGES


def steps(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Two training steps; the gradients of the second, and what the layer remembers."""
    for _ in range(2):
        model.zero_grad()
        out = model(images)
        (icnn.filter_losses(model, labels) + out.square().mean()).backward()
    *_, layer = getattr(model, "module", model)
    grads = {name.removeprefix("module."): p.grad for name, p in model.named_parameters()}
    memory = {"peak": layer.peak, "means": layer.category_means}
    return {**grads, **memory, "loss": icnn.filter_loss(layer._maps.detach()).detach()}


def process(rank: int, count: int, folder: str, scale: float) -> None:
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=count
    )
    mine = slice(rank * IMAGES // count, (rank + 1) * IMAGES // count)
    images, labels = batch(scale)
    result = steps(DistributedDataParallel(network()), images[mine], labels[mine])
    torch.save(result, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("count, scale", [(2, 1.0), (3, 30.0)])
def test_it_equals_one_process_with_the_whole_batch(count, scale, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    wanted = steps(network(), *batch(scale))
    torch.multiprocessing.spawn(process, (count, str(tmp_path), scale), nprocs=count)
    for rank in range(count):
        result = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert result.keys() == wanted.keys()
        for name in wanted:
            size = max(1.0, float(wanted[name].abs().max()))
            assert (result[name] - wanted[name]).abs().max() <= 1e-10 * size, name
