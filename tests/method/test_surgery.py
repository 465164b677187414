"""Any CNN becomes interpretable: torchvision's, and one's own."""

from __future__ import annotations

from urllib.error import URLError

import pytest
import torch
from torch import nn

import icnn
from icnn.data import PartDataset

NETWORKS = {"alexnet": (256, 7), "vgg11": (512, 8), "resnet18": (256, 8), "densenet121": (1024, 8)}
SIZE = 128  # pixels; small, to be quick


def own_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 4, 2), nn.Conv2d(8, 6, 3, padding=1), nn.Flatten(), nn.Linear(6 * 64, 9)
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_torchvisions_networks_get_the_papers_surgery(name) -> None:
    channels, side = NETWORKS[name]
    model = icnn.make_interpretable(name, 3, weights=None, image_size=SIZE)
    images, labels = torch.rand(2, 3, SIZE, SIZE), torch.tensor([0, 2])
    model.train()
    loss = nn.functional.cross_entropy(model(images), labels) + icnn.filter_losses(model, labels)
    loss.backward()
    layers = [m for m in model.modules() if isinstance(m, icnn.InterpretableLayer)]
    assert [(m.channels, m.size) for m in layers] == [(channels, side)] * 2
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert model.maps(images).shape == (2, channels, side, side)


def test_the_maps_are_those_of_the_original_network() -> None:
    own = own_network()
    model = icnn.make_interpretable(own, 2, cut="1", image_size=32)
    images = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(model.backbone(images), own[:2](images))
    assert sum(p.numel() for p in model.backbone.parameters()) < sum(
        p.numel() for p in own.parameters()
    )  # what follows the cut is dropped


def test_maps_of_several_layers_are_stacked_at_the_size_of_the_last() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AvgPool2d(4), nn.Conv2d(2, 5, 1))
    model = icnn.make_interpretable(network, 2, cut=["0", "2"], image_size=32)
    images = torch.rand(2, 3, 32, 32)
    fine = network[0](images)
    wanted = torch.cat([fine.reshape(2, 2, 8, 4, 8, 4).mean((3, 5)), network(images)], 1)
    torch.testing.assert_close(model.backbone(images), wanted)
    assert model.head.layer.channels == 7


class Block(nn.Module):
    """A residual block that writes in place: a shortcut of its own, one ReLU called twice."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv2(self.relu(self.conv1(x)))
        y += self.shortcut(x)
        return self.relu(y)


def residual_network() -> nn.Module:
    torch.manual_seed(0)
    blocks = Block(3, 4, 2), Block(4, 5, 2), nn.Sequential(*[Block(5, 5, 1)] * 2)
    return nn.Sequential(*blocks).eval()


@pytest.mark.parametrize("earlier", ["0.conv1", "0.conv2", "0.shortcut"])
def test_what_follows_an_earlier_cut_does_not_write_into_its_maps(earlier) -> None:
    network, images = residual_network(), torch.rand(2, 3, 32, 32)
    kept = []
    hook = network.get_submodule(earlier).register_forward_hook(
        lambda module, inputs, output: kept.append(output.clone())
    )
    last = network[:2](images)
    hook.remove()
    for train in (False, True):
        model = icnn.make_interpretable(network, 2, cut=[earlier, "1"], image_size=32).train(train)
        wanted = torch.cat([nn.functional.avg_pool2d(kept[0], 2), last], 1)
        torch.testing.assert_close(model.backbone(images), wanted)
    assert wanted.min() < 0


@pytest.mark.parametrize("cut", ["0.relu", "2", "2.0", "2.1.conv1"])
def test_a_layer_that_is_called_more_than_once_is_no_cut(cut) -> None:
    network = residual_network()
    with pytest.raises(ValueError, match="cut"):
        icnn.make_interpretable(network, 2, cut=cut, image_size=32)
    assert icnn.make_interpretable(network, 2, cut="1", image_size=32)


class Depends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.conv(images)
        return maps if maps.mean() > 0 else -maps


def test_a_forward_that_depends_on_values_cannot_be_cut() -> None:
    with pytest.raises(ValueError, match="cnn cannot be cut"):
        icnn.make_interpretable(Depends(), 2, cut="conv", image_size=16)


class Writes(nn.Module):
    """Changes a map without using what the change returns."""

    def __init__(self, change) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.change = nn.ReLU(inplace=True), change

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = self.first(images)
        self.change(self, maps)
        return self.last(maps)


@pytest.mark.parametrize(
    "change",
    [
        lambda _, maps: maps.add_(1),
        lambda _, maps: maps.mul_(maps.sigmoid()),
        lambda _, maps: maps.flatten(1).mul_(2),
        lambda _, maps: maps.copy_(maps * 3),
        lambda _, maps: torch.relu_(maps),
        lambda network, maps: network.relu(maps),
    ],
)
def test_a_cut_never_loses_a_step(change) -> None:
    """Tracing leaves out what nobody uses, and with it what is written in place."""
    with pytest.raises(ValueError, match="cnn cannot be cut at 'last'"):
        icnn.make_interpretable(Writes(change), 2, cut="last", image_size=16)
    assert icnn.make_interpretable(Writes(change), 2, cut="first", image_size=16)


def test_a_network_that_draws_numbers_can_be_cut() -> None:
    class Noisy(Writes):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps = self.first(images)
            return self.last(maps + torch.randn_like(maps))

    assert icnn.make_interpretable(Noisy(None), 2, cut="last", image_size=16)


def test_weights_that_cannot_be_had_or_do_not_fit_say_what_to_do(tmp_path, monkeypatch) -> None:
    def offline(*args, **kwargs):
        raise URLError("no network")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(OSError, match=r"weights of resnet18 cannot be downloaded.*weights='"):
        icnn.make_interpretable("resnet18", 2)
    torch.save(own_network().state_dict(), tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "text.pt").write_text("no weights")
    (tmp_path / "empty.pt").write_text("")
    for name in ("other", "list", "text", "empty"):
        with pytest.raises(ValueError, match="weights must be a file with the whole state_dict"):
            icnn.make_interpretable("resnet18", 2, weights=tmp_path / f"{name}.pt")


def test_the_head_is_where_and_what_the_backbone_is() -> None:
    model = icnn.make_interpretable(own_network().double(), 2, cut="1", image_size=32)
    assert model(torch.rand(2, 3, 32, 32).double()).dtype == torch.float64
    meta = icnn.make_interpretable(own_network().to("meta"), 2, cut="1", image_size=32)
    assert all(p.is_meta for p in meta.parameters())


def test_modes_stay_as_they_are() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).train()
    network[1].eval()
    model = icnn.make_interpretable(network, 2, cut="2", image_size=16)
    icnn.unit_centres(model, 16)
    norm = next(m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d))
    assert not norm.training and model.training and not network[1].training
    extractor = model.backbone.traced
    assert extractor.training and extractor.graph is extractor.train_graph
    assert all(m.mask for m in model.modules() if isinstance(m, icnn.InterpretableLayer))


def test_a_named_network_normalises_its_images(tmp_path) -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    network = resnet18(weights=None).eval()
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    model = icnn.make_interpretable("resnet18", 2, weights=tmp_path / "weights.pt", image_size=64)
    images = torch.rand(1, 3, 64, 64)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    x = network.maxpool(network.relu(network.bn1(network.conv1((images - mean) / std))))
    wanted = network.layer3(network.layer2(network.layer1(x)))
    torch.testing.assert_close(model.eval().backbone(images), wanted)


def test_a_model_saves_and_reloads(tmp_path) -> None:
    options = {"cut": "1", "image_size": 32, "width": 5, "layer": {"weight": 0.1}}
    model = icnn.make_interpretable(own_network(), 2, **options)
    images, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 0, 1])
    model(images)
    icnn.filter_losses(model, labels)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    again = icnn.make_interpretable(own_network(), 2, **options)
    again.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    torch.testing.assert_close(again.eval()(images), model.eval()(images))
    assert (again.head.layer.target_category == model.head.layer.target_category).all()


def test_width_puts_two_new_conv_layers_on_a_frozen_backbone() -> None:
    model = icnn.make_interpretable(own_network(), 2, cut="1", image_size=32, width=7)
    layers = [m for m in model.modules() if isinstance(m, icnn.InterpretableLayer)]
    assert [m.channels for m in layers] == [7]
    assert sum(isinstance(m, nn.Conv2d) for m in model.head.modules()) == 2
    plain = icnn.make_interpretable(own_network(), 2, cut="1", image_size=32, width=7, layer=None)
    assert not any(isinstance(m, icnn.InterpretableLayer) for m in plain.modules())
    weights = [sum(p.numel() for p in m.parameters()) for m in (model, plain)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("arguments", "options", "name"),
    [
        ((3, 2), {}, "cnn"),
        (("resnet999", 2), {"cut": "layer3"}, "cnn"),
        (("squeezenet1_0", 2), {"weights": None}, "cut"),
        ((nn.ReLU(), 2), {}, "cut"),
        ((nn.Sequential(nn.ReLU()), 2), {"cut": "1"}, "cut"),
        ((own_network(), 2), {"cut": "2", "image_size": 32}, "cut"),
        ((own_network(), 2), {"cut": []}, "cut"),
        ((own_network(), 2), {"cut": ["0", "9"]}, "cut"),
        ((own_network(), 0), {"cut": "1"}, "n_categories"),
        ((own_network(), 2), {"cut": "1", "image_size": "32"}, "image_size"),
        ((own_network(), 2), {"cut": "1", "image_size": 32, "width": 0}, "width"),
        (("resnet18", 2), {"weights": "no/such/file"}, "weights"),
        (("efficientnet_b0", 2), {"weights": None, "cut": "features.3.1.block.0.2"}, "cut"),
    ],
)
def test_bad_arguments_are_named(arguments, options, name) -> None:
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=rf"\b{name}\b"):
        icnn.make_interpretable(*arguments, **options)


def data(count: int = 150, side: int = 32) -> PartDataset:
    generator = torch.Generator().manual_seed(0)
    return PartDataset(
        images=torch.randint(0, 256, (count, 3, side, side), generator=generator).byte(),
        labels=torch.arange(count) % 2,
        landmarks=torch.rand(count, 1, 2),
        part_ids=torch.zeros(count, side, side, dtype=torch.uint8),
        categories=("a", "b"),
        parts=("p",),
    )


class Counting(nn.Module):
    """Counts the images it sees, and can fail after some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self._seen, self._limit = own_network()[0], 0, None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self._seen += len(images)
        if self._limit is not None and self._seen > self._limit:
            raise KeyboardInterrupt
        return self.conv(images)


def cached(backbone, dataset, folder):
    return icnn.cached_features(backbone, dataset, folder, progress=False)


def test_features_are_computed_once(tmp_path) -> None:
    backbone, dataset = Counting(), data()
    features = cached(backbone, dataset, tmp_path)
    wanted = icnn.predict(backbone.conv, dataset.floats())
    torch.testing.assert_close(features.floats(), wanted, rtol=1e-3, atol=1e-3)
    assert features.images.dtype == torch.float16 and len(features) == 150
    assert (features.labels == dataset.labels).all()
    backbone._seen = 0
    again = cached(backbone, dataset, tmp_path)
    assert backbone._seen == 1  # to know the shape
    assert (again.images == features.images).all()
    torch.testing.assert_close(again.floats(torch.tensor([140, 3])), features.floats()[[140, 3]])


def test_a_bar_is_shown_only_while_maps_are_computed(tmp_path, capfd) -> None:
    for expected in (True, False):
        icnn.cached_features(Counting(), data(), tmp_path)
        assert ("block" in capfd.readouterr().err) == expected


def test_another_image_weight_or_transform_computes_anew(tmp_path) -> None:
    backbone, dataset = Counting(), data()
    cached(backbone, dataset, tmp_path)
    dataset.images[77, 0, 0, 0] += 1
    cached(backbone, dataset, tmp_path)
    with torch.no_grad():
        backbone.conv.weight[0, 0, 0, 0] += 1
    cached(backbone, dataset, tmp_path)
    object.__setattr__(dataset, "transform", lambda image: image / 2)
    features = cached(backbone, dataset, tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == 4
    wanted = icnn.predict(backbone.conv, dataset.floats())
    torch.testing.assert_close(features.floats(), wanted, rtol=1e-3, atol=1e-3)


class Scaled(nn.Module):
    """Answers that depend on more than parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.factor, self.table = 2.0, torch.ones(3, 1, 1)
        self.register_buffer("hidden", torch.ones(3, 1, 1), persistent=False)
        self.layer = icnn.InterpretableLayer(3, 32)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layer(self.factor * self.table * self.hidden * images)


def change_by_hook(backbone: Scaled) -> None:
    backbone.register_forward_hook(lambda module, images, maps: maps * 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda b: setattr(b, "factor", 3.0),
        lambda b: setattr(b, "table", 3 * torch.ones(3, 1, 1)),
        lambda b: b.hidden.mul_(3),
        lambda b: setattr(b.layer, "beta", 2.0),
        lambda b: setattr(b.layer, "mask", False),
        lambda b: setattr(b, "layer", nn.Identity()),
        lambda b: setattr(b, "forward", lambda images: 3 * images),
        change_by_hook,
    ],
)
def test_any_change_of_the_network_computes_anew(tmp_path, change) -> None:
    backbone, dataset = Scaled(), data()
    cached(backbone, dataset, tmp_path)
    change(backbone)
    features = cached(backbone, dataset, tmp_path)
    wanted = icnn.predict(backbone, dataset.floats())
    torch.testing.assert_close(features.floats(), wanted, rtol=1e-3, atol=1e-3)


def test_a_backbone_keeps_its_mode(tmp_path) -> None:
    backbone = icnn.make_interpretable(own_network(), 3, cut="1", image_size=32).backbone
    for mode in (True, False):
        cached(backbone.train(mode), data(), tmp_path / str(mode))
        assert {part.training for part in backbone.modules()} == {mode}


def test_an_interruption_loses_no_finished_block(tmp_path) -> None:
    backbone, dataset = Counting(), data()
    wanted = cached(backbone, dataset, tmp_path / "whole").images
    backbone._seen, backbone._limit = 0, 1 + 64 + 10
    with pytest.raises(KeyboardInterrupt):
        cached(backbone, dataset, tmp_path / "parts")
    backbone._seen, backbone._limit = 0, None
    assert (cached(backbone, dataset, tmp_path / "parts").images == wanted).all()
    assert backbone._seen == 1 + 150 - 64


@pytest.mark.parametrize("damage", ["flip", "cut off", "empty", "journal"])
def test_a_damaged_cache_is_mended(tmp_path, damage) -> None:
    backbone, dataset = Counting(), data()
    wanted = cached(backbone, dataset, tmp_path).images.clone()
    path, journal = next(tmp_path.glob("*.npy")), next(tmp_path.glob("*.json"))
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[-5] ^= 255
    path.write_bytes(content[: {"cut off": 9000, "empty": 0}.get(damage)])
    if damage == "journal":
        journal.write_text("{")
    backbone._seen = 0
    assert (cached(backbone, dataset, tmp_path).images == wanted).all()
    assert backbone._seen == 1 + (150 - 128 if damage == "flip" else 150)


def test_writing_to_the_features_changes_no_file(tmp_path) -> None:
    backbone, dataset = Counting(), data()
    features = cached(backbone, dataset, tmp_path)
    before = features.images.clone()
    features.images.zero_()
    assert (cached(backbone, dataset, tmp_path).images == before).all()


def test_a_head_trains_on_features(tmp_path) -> None:
    model = icnn.make_interpretable(own_network(), 2, cut="0", image_size=32, width=4)
    features = cached(model.backbone, data(), tmp_path)
    history = icnn.fit(model.head, features, features, epochs=2, progress=False)
    assert len(history.loss) == 2
    scores = icnn.predict(model, data().floats())
    torch.testing.assert_close(
        scores, icnn.predict(model.head, features.floats()), rtol=1e-2, atol=1e-2
    )


def test_bad_input_of_the_cache_is_named(tmp_path) -> None:
    with pytest.raises(TypeError, match="backbone"):
        cached("vgg", data(), tmp_path)
    with pytest.raises(TypeError, match="dataset"):
        cached(nn.ReLU(), torch.rand(2, 3, 4, 4), tmp_path)
    with pytest.raises(ValueError, match="dataset"):
        cached(nn.ReLU(), data().subset(slice(0, 0)), tmp_path)
    huge = nn.Conv2d(3, 1, 1)
    nn.init.constant_(huge.weight, 1e9)
    with pytest.raises(ValueError, match="backbone must give finite maps"):
        cached(huge, data(), tmp_path)


def test_new_conv_layers_stand_on_the_last_two_stages_of_large_images() -> None:
    model = icnn.make_interpretable("resnet18", 2, weights=None, width=8)
    convs = [m for m in model.head.modules() if isinstance(m, nn.Conv2d)]
    assert convs[0].in_channels == 256 + 512 and model.head.layer.size == 14
