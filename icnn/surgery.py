"""Make any CNN interpretable: cut it at a layer, put the paper's layers and a linear head on top.

Taught in lesson 9.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torch.fx.proxy import TraceError

from icnn._check_args import SIZE, Value, blaming, checked
from icnn._device import seeded
from icnn._looking import black_image, still
from icnn.layer import InterpretableLayer
from icnn.network import InterpretableCNN, MeanClassifier, PartHead, conv_block

# Where ResNets and DenseNets are cut: the last layer whose maps have a unit for each 16 pixels, as
# the last conv layer of AlexNet and VGG has. With new conv layers on top, their last stage as well.
CUTS = {
    "resnet": ("layer3", "layer4"),
    "densenet": ("features.transition3.relu", "features.norm5"),
}
USUAL, LARGE = 224, 448  # pixels; the second makes up for the coarser last stage
DROPPED = 0.3  # of a frozen backbone's channels in training: some hundred photographs overfit
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what they expect, per channel


@checked(
    image_size=SIZE,
    layer=Value("a dict of options or None", (dict, type(None))),
    weights=Value("a str, a Path or None", (str, Path, type(None))),
    cut=Value("a name or several", (str, Sequence)),
    cnn=Value("a torch.nn.Module or a name", (str, nn.Module)),
)
def make_interpretable(
    cnn: nn.Module | str,
    n_categories: int,
    *,
    cut: str | Sequence[str] | None = None,
    weights: str | Path | None = "DEFAULT",
    image_size: int | None = None,
    width: int | None = None,
    layer: dict | None = {},  # noqa: B006, is only read
) -> InterpretableCNN:
    """A CNN with the paper's surgery: interpretable from the layer `cut` on.

    What follows that layer is dropped; its maps become interpretable, and one more interpretable
    3×3 conv layer and a linear head on the means come on top (the paper keeps its networks' fully
    connected layers). Save its `state_dict()` as usual. Paper, section 3 and 5. Taught in lesson 9.

    Args:
        cnn: the name of one of torchvision's AlexNet, VGG, ResNet or DenseNet networks, which then
            also normalises its images; or any module that maps images (N, 3, H, W) to anything.
        n_categories: number of scores.
        cut: the layer, by its name in `cnn.named_modules()`, that gives square maps (N, C, n, n).
            None for a network named above takes its last one with a unit for each 16 pixels, and
            with `width` the last stage of a ResNet or DenseNet too. Of several layers the maps are
            stacked, averaged down to the size of the last one.
        weights: for a name only: "DEFAULT" downloads torchvision's ImageNet weights, a path loads a
            state_dict of the whole network, None leaves random ones.
        image_size: side of the images in pixels; None for 224, or 448 with `width`.
        width: how many filters two new conv layers have, of which the last is interpretable, in
            place of the paper's surgery. Finds parts far better on photographs (lesson 9), on a
            backbone that is frozen or trained at a twentieth of the head's rate (`fit`).
        layer: options of each `InterpretableLayer`; None makes a plain network for comparison.

    Raises:
        ValueError: an unknown network or layer, a layer that is called twice or gives no square
            maps, a network whose forward pass cannot be cut, or weights that do not fit it.
        OSError: the weights cannot be downloaded; FileNotFoundError: there is no such file.
    """
    image_size = image_size or (LARGE if width else USUAL)
    if isinstance(cnn, str):
        network = _torchvision(cnn, weights)
        cut = cut or _usual_cut(cnn, network, both=width is not None)
        trunk = _up_to(network, cut, image_size)
        backbone = nn.Sequential(_Normalize(), trunk)
    elif cut is None:
        raise ValueError("cut must name the layer to cut at, got None with a module of one's own")
    else:
        backbone = _up_to(cnn, cut, image_size)
    maps = _maps(backbone, image_size)
    head = part_head(*maps.shape[1:3], n_categories, width=width, layer=layer)
    return InterpretableCNN(backbone, head.to(maps))


def part_head(
    inputs: int, size: int, n_categories: int, *, width: int | None, layer: dict | None
) -> PartHead:
    """What `make_interpretable` with these options puts on maps (N, inputs, size, size)."""
    channels = width or inputs

    def interpretable() -> nn.Module:
        if layer is None:
            return nn.Identity()
        return InterpretableLayer(channels, size, **{"n_categories": n_categories, **layer})

    first = [nn.ReLU(), interpretable()]
    if width:
        first = [nn.Dropout2d(DROPPED), *conv_block(inputs, channels, 3)]
    features = nn.Sequential(*first, *conv_block(channels, channels, 3))
    return PartHead(features, interpretable(), MeanClassifier(channels, n_categories))


class _Normalize(nn.Module):
    """As torchvision's, whose numbers go to a card anew each time, which no CUDA graph allows."""

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", MEAN), ("std", STD)):
            numbers = torch.tensor(values, device="cpu")[:, None, None]
            self.register_buffer(name, numbers, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class _Trunk(nn.Module):
    """A module up to a layer, or to several, as one that gives their maps."""

    def __init__(self, traced: nn.Module) -> None:
        super().__init__()
        self.traced = traced

    def forward(self, images: Tensor) -> Tensor:
        *others, last = self.traced(images).values()
        if not others:
            return last
        size = last.shape[-2:]
        return torch.cat([*(nn.functional.adaptive_avg_pool2d(m, size) for m in others), last], 1)


def _usual_cut(name: str, network: nn.Module, *, both: bool) -> str | Sequence[str]:
    for family, stages in CUTS.items():
        if family in name:
            return stages if both else stages[0]
    if name.startswith(("alexnet", "vgg")):
        return f"features.{len(network.features) - 2}"  # before the last pooling
    raise ValueError(
        f"cut must name a layer where cnn is no AlexNet, VGG, ResNet or DenseNet: {name}"
    )


def _torchvision(name: str, weights: str | Path | None) -> nn.Module:
    from torchvision.models import get_model, list_models

    if name not in list_models():
        raise ValueError(f"cnn must be the name of a network of torchvision, got {name!r}")
    if weights is None:
        return get_model(name, weights=None)
    if weights == "DEFAULT":
        try:
            return get_model(name, weights="DEFAULT")
        except (OSError, RuntimeError) as error:  # no network, or another file than announced
            raise OSError(
                f"weights of {name} cannot be downloaded ({error}): pass weights='a file' with its "
                "state_dict, saved where there is a network, or weights=None for random ones"
            ) from error
    if not Path(weights).is_file():
        raise FileNotFoundError(f"weights must be a file, {weights} is none")
    model = get_model(name, weights=None)
    whole = f"weights must be a file with the whole state_dict of torchvision's {name}, as"
    whole += f" torch.save(model.state_dict(), file) writes it; {weights} is not"
    with blaming(whole, RuntimeError, TypeError, AttributeError, EOFError, UnpicklingError):
        model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model


def _up_to(module: nn.Module, cut: str | Sequence[str], image_size: int) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    layers = [cut] if isinstance(cut, str) else list(cut)
    known = {name for name, _ in module.named_modules() if name}
    if not layers or not all(layer in known for layer in layers):
        raise ValueError(f"cut must name layers of the network, got {cut!r}")
    modes = {name: part.training for name, part in module.named_modules()}
    try:
        _, nodes = get_graph_node_names(module, suppress_diff_warning=True)
        for layer in layers:
            _check_called_once(layer, nodes, known)
        traced = create_feature_extractor(module, layers, suppress_diff_warning=True)
    except (TraceError, TypeError) as error:
        raise ValueError(
            f"cnn cannot be cut where its forward pass depends on its values ({error}): pass the "
            "part up to that layer as an nn.Sequential"
        ) from error
    for name, part in [*module.named_modules(), *traced.named_modules()]:
        part.training = modes.get(name, part.training)  # tracing has set all to that of the whole
    if len(layers) > 1:
        _keep_maps(traced)
    _check_alike(module, traced, layers, image_size)
    return _Trunk(traced)


def _check_called_once(layer: str, nodes: list[str], modules: set[str]) -> None:
    """A layer that is called again stands among the nodes once more, with a number behind."""
    inside = [node for node in nodes if node == layer or node.startswith(f"{layer}.")]
    again = {f"{node}_1" for node in inside} & (set(nodes) - modules)
    first = [n for n in inside if n in modules or not re.search(r"_\d+$", n)]
    if not inside:
        raise ValueError(
            f"cut must name a layer that the network calls by itself, {layer!r} is called by the "
            "block around it: name that"
        )
    if all(f"{node}_1" in again for node in first):
        raise ValueError(
            f"cut must name a layer that is called once, {layer!r} is called more often: name the "
            "block around it, or a layer before or behind that call"
        )


@torch.no_grad()
def _check_alike(module: nn.Module, traced: nn.Module, layers: list[str], image_size: int) -> None:
    """Tracing loses what is written in place if nobody uses the result: compare, on an image."""
    black, wanted = black_image(module, image_size, image_size), {}
    if black.is_meta:
        return
    image = torch.linspace(-1, 1, black.numel()).view_as(black).to(black)

    def maps_of(network: nn.Module) -> object:
        with seeded(0, image.device), suppress(Exception), still(network):
            return network(image)  # what fails here is named later, and behind the cut it may fail

    hooks = [
        module.get_submodule(layer).register_forward_hook(
            lambda _module, _inputs, maps, layer=layer: wanted.update({layer: maps.clone()})
        )
        for layer in layers
    ]
    maps_of(module)
    for hook in hooks:
        hook.remove()
    for layer, maps in (maps_of(traced) or {}).items():
        right = wanted.get(layer, maps)
        if maps.shape != right.shape or not torch.allclose(
            maps, right, rtol=1e-3, atol=1e-5, equal_nan=True
        ):
            raise ValueError(
                f"cnn cannot be cut at {layer!r}: its forward pass changes maps in place without "
                "using the result; write x = x.add(y) for x.add_(y) there"
            )


def _keep_maps(traced: nn.Module) -> None:
    """Copy the maps that a feature extractor gives: a later layer may write into them."""
    for graph in (traced.train_graph, traced.eval_graph):
        output = next(node for node in graph.nodes if node.op == "output")
        for node in output.all_input_nodes:
            with graph.inserting_after(node):
                copy = graph.call_method("clone", (node,))
            output.replace_input_with(node, copy)
    traced.graph = traced.train_graph if traced.training else traced.eval_graph


@torch.no_grad()
def _maps(backbone: nn.Module, image_size: int) -> Tensor:
    """The maps (1, C, n, n) of one black image."""
    image = black_image(backbone, image_size, image_size)
    fails = f"cnn fails on a {image.dtype} image {tuple(image.shape)}, of image_size"
    with blaming(fails, RuntimeError, ValueError), still(backbone):
        maps = backbone(image)
    if not isinstance(maps, Tensor) or maps.ndim != 4 or maps.shape[-1] != maps.shape[-2]:
        got = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
        raise ValueError(f"cut must be a layer that gives square maps (N, C, n, n), got {got}")
    return maps
