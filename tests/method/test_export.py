"""Models leave PyTorch with their masks: by torch.export and as ONNX, for any number of images."""

from __future__ import annotations

import io
import warnings

import pytest
import torch
from torch import nn

import icnn
from icnn._looking import still

BATCH = ({0: torch.export.Dim("N")},)


def tied(channels: int, size: int) -> torch.Tensor:
    """Five inputs: noise, silence, the same everywhere, a pattern that repeats, and one peak."""
    x = torch.rand(5, channels, size, size, generator=torch.Generator().manual_seed(0))
    x[1], x[2] = 0, 0.5
    x[3] = x[3, :, :2, :2].repeat(1, size // 2, size // 2)
    x[4, :, 1, 2] = 3
    return x


def surgery(cnn, size: int, **options) -> tuple[nn.Module, torch.Tensor]:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = icnn.make_interpretable(cnn, 3, image_size=size, **options)
    return model, tied(3, size)


BACKBONE = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())


MODELS = {
    "the layer alone": lambda: (icnn.InterpretableLayer(3, 6), tied(3, 6)),
    "a lesson's network": lambda: (icnn.small_cnn("category term"), tied(3, 64)),
    "the paper's surgery": lambda: surgery(BACKBONE, 16, cut="1"),
    "two new layers": lambda: surgery(BACKBONE, 16, cut="1", width=6, layer={"memory": 4}),
    "two stages of a ResNet": lambda: surgery("resnet18", 128, weights=None, width=6),
}


@pytest.fixture(params=MODELS)
def trained(request) -> tuple[nn.Module, torch.Tensor]:
    """A model after a step in training mode, and inputs."""
    model, x = MODELS[request.param]()
    model.train()(x)
    return model.eval(), x


@torch.no_grad()
def check(run, model: nn.Module, x: torch.Tensor) -> None:
    """An export gives what the model gives, masks included."""
    for count in (1, 2, 5):
        torch.testing.assert_close(run(x[:count]), model(x[:count]), rtol=1e-5, atol=1e-5)
    with still(model):
        assert not model(x).allclose(run(x), rtol=1e-3, atol=1e-3)


def test_torch_export_keeps_the_mask(trained) -> None:
    model, x = trained
    file = io.BytesIO()
    torch.export.save(torch.export.export(model, (x[:2],), dynamic_shapes=BATCH), file)
    file.seek(0)
    check(torch.export.load(file).module(), model, x)


def test_onnx_keeps_the_mask(trained) -> None:
    pytest.importorskip("onnxscript", reason="needs onnxscript, which writes ONNX files")
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs onnxruntime, to run ONNX files")
    model, x = trained
    file = io.BytesIO()
    program = torch.onnx.export(model, (x[:2],), dynamo=True, dynamic_shapes=BATCH, verbose=False)
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    check(lambda x: torch.from_numpy(session.run(None, {given.name: x.numpy()})[0]), model, x)


def test_an_export_warns_of_nothing_and_training_goes_on_after_it() -> None:
    losses = []
    for exported in (False, True):
        model, x = MODELS["two new layers"]()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            model.train()(x)
            model.eval()
            if exported:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    torch.export.export(model, (x[:2],), dynamic_shapes=BATCH).module()
            else:
                model(x[:2])
            for _ in range(2):
                model.train()(x)
                losses.append(icnn.filter_losses(model).item())
    assert losses[:2] == losses[2:]
