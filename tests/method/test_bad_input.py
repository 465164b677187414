"""Every public function says which argument is wrong, before it does any work."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import icnn

X = torch.rand(2, 3, 4, 4)
SCORES = torch.rand(2, 3, 17)
PRIOR = icnn.template_prior(4)
LABELS = torch.tensor([0, 1])
TARGET = torch.ones(2, 3, dtype=torch.bool)
POINTS, STRENGTH, MARKS = torch.rand(4, 3, 2), torch.rand(4, 3), torch.rand(4, 2, 2)
PARTS = torch.ones(2, 5, 8, 8, dtype=torch.bool)
NAN, INF = torch.full((2, 3, 4, 4), torch.nan), torch.full((2, 3, 4, 4), torch.inf)
EMPTY = torch.rand(0, 3, 4, 4)
WIDE = torch.rand(2, 3, 4, 5)
WHOLE = torch.ones(2, 3, 4, 4, dtype=torch.long)
SCALED = {"sharpness": 2.0, "scale": torch.ones(3)}
LAYER = icnn.InterpretableLayer(3, 4)
CONV = nn.Sequential(nn.Conv2d(3, 3, 3))

MAPS = [(torch.rand(4), "x"), (WIDE, "x"), (WHOLE, "x"), (EMPTY, "x"), ("maps", "x")]
NUMBERS = [0, -1.0, float("nan"), float("inf"), "4", None, True]


def measured(function, *more):
    return [
        (function, (POINTS[..., :1], STRENGTH, MARKS, *more), {}, "points"),
        (function, (POINTS.long(), STRENGTH, MARKS, *more), {}, "points"),
        (function, (POINTS * torch.nan, STRENGTH, MARKS, *more), {}, "points"),
        (function, (POINTS, STRENGTH[:3], MARKS, *more), {}, "scores"),
        (function, (POINTS, STRENGTH / 0, MARKS, *more), {}, "scores"),
        (function, (POINTS, STRENGTH, MARKS[:3], *more), {}, "landmarks"),
        (function, (POINTS, STRENGTH, MARKS / 0, *more), {}, "landmarks"),
        (function, (POINTS, STRENGTH, MARKS.numpy(), *more), {}, "landmarks"),
        (function, (POINTS, STRENGTH, MARKS, *more), {"top": 0}, "top"),
        (function, (POINTS, STRENGTH, MARKS, *more), {"top": 2.5}, "top"),
    ]


CASES = [
    *[(icnn.part_templates, (n,), {}, "n") for n in (0, -3, 2.0, "3", True, None)],
    *[(icnn.part_templates, (3,), {"beta": b}, "beta") for b in NUMBERS],
    *[(icnn.part_templates, (3,), {"tau": t}, "tau") for t in (0, -1.0, float("nan"), "1")],
    (icnn.part_templates, (3,), {"tau": 1e6, "dtype": torch.float16}, "tau"),
    (icnn.part_templates, (3,), {"dtype": torch.int32}, "dtype"),
    *[(icnn.template_prior, (n,), {}, "n") for n in (0, 2.0)],
    *[(icnn.template_prior, (3,), {"alpha": a}, "alpha") for a in (0, 1, 1.5, -0.1, "x")],
    (icnn.template_prior, (3,), {"dtype": torch.int64}, "dtype"),
    *[(icnn.part_mask, (x,), {}, name) for x, name in [*MAPS, (NAN, "x"), (INF, "x")]],
    *[(icnn.part_mask, (X,), {"beta": b}, "beta") for b in NUMBERS],
    *[(icnn.fitness, (x, icnn.part_templates(4)), {}, n) for x, n in [*MAPS, (NAN, "x")]],
    (icnn.fitness, (X, icnn.part_templates(3)), {}, "templates"),
    (icnn.fitness, (X, icnn.part_templates(4, dtype=torch.float64)), {}, "templates"),
    (icnn.fitness, (X, icnn.part_templates(4) / 0), {}, "templates"),
    *[
        case
        for function in (icnn.mutual_information, icnn.entropy_terms)
        for case in [
            (function, (SCORES[0], PRIOR), {}, "fitness"),
            (function, (SCORES[:0], PRIOR), {}, "fitness"),
            (function, (SCORES.long(), PRIOR), {}, "fitness"),
            (function, (SCORES * torch.nan, PRIOR), {}, "fitness"),
            (function, (SCORES, PRIOR[:-1]), {}, "prior"),
            (function, (SCORES, PRIOR.double()), {}, "prior"),
            (function, (SCORES, 2 * PRIOR), {}, "prior"),
            (function, (SCORES, -PRIOR), {}, "prior"),
        ]
    ],
    *[(icnn.filter_loss, (x,), {}, name) for x, name in MAPS],
    *[(icnn.filter_loss, (X,), {"beta": b}, "beta") for b in NUMBERS],
    (icnn.filter_loss, (X,), {"sharpness": 2.0}, "scale"),
    (icnn.filter_loss, (X,), {"scale": torch.ones(3)}, "sharpness"),
    (icnn.filter_loss, (X,), {"sharpness": -2.0, "scale": torch.ones(3)}, "sharpness"),
    (icnn.filter_loss, (X,), {"sharpness": 2.0, "scale": torch.ones(4)}, "scale"),
    (icnn.filter_loss, (X,), {"sharpness": 2.0, "scale": 1.0}, "scale"),
    *[(icnn.category_loss, (x, TARGET), SCALED, name) for x, name in MAPS],
    (icnn.category_loss, (X, TARGET.float()), SCALED, "is_target"),
    (icnn.category_loss, (X, TARGET[:1]), SCALED, "is_target"),
    *[(icnn.paper_gradient, (x, TARGET), {}, name) for x, name in [*MAPS, (NAN, "x")]],
    (icnn.paper_gradient, (X, TARGET[:, :2]), {}, "is_target"),
    (icnn.paper_gradient, (X, LABELS), {}, "is_target"),
    (icnn.paper_gradient, (X, TARGET), {"beta": 0}, "beta"),
    (icnn.InterpretableLayer, (3, 4), {"memory": -1}, "memory"),
    (icnn.InterpretableLayer, (3, 4), {"n_categories": 0}, "n_categories"),
    (icnn.InterpretableLayer, (3, 4), {"memory": 2.5}, "memory"),
    (icnn.InterpretableLayer, (0, 4), {}, "channels"),
    (icnn.InterpretableLayer, (3, 4), {"mask": torch.ones(2)}, "mask"),
    (icnn.InterpretableLayer, (3, 4.0), {}, "size"),
    *[
        (icnn.InterpretableLayer, (3, 4), {name: value}, name)
        for name in ("beta", "sharpness")
        for value in NUMBERS
    ],
    *[
        (icnn.InterpretableLayer, (3, 4), {name: value}, name)
        for name in ("weight", "category_weight")
        for value in (-0.1, float("inf"), "1")
    ],
    *[(LAYER, (x,), {}, name) for x, name in MAPS],
    (LAYER, (X[:, :2],), {}, "x"),
    (LAYER, (X[..., :3, :3],), {}, "x"),
    (icnn.filter_losses, ("model",), {}, "model"),
    (icnn.assign_categories, (X[0], LABELS, 2), {}, "activations"),
    (icnn.assign_categories, (NAN, LABELS, 2), {}, "activations"),
    (icnn.assign_categories, (X, LABELS[:1], 2), {}, "labels"),
    (icnn.assign_categories, (X, LABELS.float(), 2), {}, "labels"),
    (icnn.assign_categories, (X, LABELS - 1, 2), {}, "labels"),
    (icnn.assign_categories, (X, LABELS + 1, 2), {}, "labels"),
    (icnn.assign_categories, (X, LABELS, 0), {}, "n_categories"),
    (icnn.small_cnn, ("fancy",), {}, "variant"),
    (icnn.small_cnn, (), {"n_categories": 0}, "n_categories"),
    (icnn.fit, (nn.Identity(), [1], [1]), {}, "train"),
    (icnn.fit, (nn.Identity(), [1], [1]), {"epochs": 0}, "epochs"),
    (icnn.fit, (nn.Identity(), [1], [1]), {"batch_size": 1.5}, "batch_size"),
    (icnn.fit, (nn.Identity(), [1], [1]), {"learning_rate": 0}, "learning_rate"),
    (icnn.fit, (nn.Identity(), [1], [1]), {"weight_decay": -1}, "weight_decay"),
    (icnn.data.creatures, ("tests",), {}, "split"),
    (icnn.checkpoints.load, ("fancy",), {}, "variant"),
    (icnn.checkpoints.load, ("plain", 7), {}, "seed"),
    *[(icnn.peaks, (x,), {}, "maps") for x in (X[0], WIDE, WHOLE, EMPTY, NAN)],
    *measured(icnn.location_instability, 64),
    (icnn.location_instability, (POINTS, STRENGTH, MARKS, 0), {}, "image_size"),
    (icnn.location_instability, (POINTS, STRENGTH, MARKS, (64, 1.5)), {}, "image_size"),
    *measured(icnn.location_instability_by_category, 64, torch.arange(4) % 2, torch.arange(3) % 2),
    (
        icnn.location_instability_by_category,
        (POINTS, STRENGTH, MARKS, 64, LABELS, torch.arange(3)),
        {},
        "labels",
    ),
    (
        icnn.location_instability_by_category,
        (POINTS, STRENGTH, MARKS, 64, torch.arange(4), torch.arange(2)),
        {},
        "target_category",
    ),
    (  # also where no filter has any images
        icnn.location_instability_by_category,
        (POINTS, STRENGTH, MARKS, 0, torch.zeros(4).long(), torch.ones(3).long()),
        {},
        "image_size",
    ),
    *measured(icnn.part_tracking),
    *measured(icnn.best_part_tracking),
    (icnn.constant_control, (MARKS[0], 64), {}, "landmarks"),
    (icnn.constant_control, (MARKS, "64"), {}, "image_size"),
    (icnn.constant_control, (MARKS, 64), {"grid": 0}, "grid"),
    *[(icnn.part_interpretability, (x, PARTS), {}, "maps") for x in (X[0], NAN, WHOLE)],
    (icnn.part_interpretability, (X, PARTS.float()), {}, "part_masks"),
    (icnn.part_interpretability, (X, PARTS[:1]), {}, "part_masks"),
    (icnn.part_interpretability, (X, PARTS), {"quantile": 1.0}, "quantile"),
    (icnn.part_interpretability, (X, PARTS), {"iou": 0}, "iou"),
    (icnn.category_selectivity, (X, LABELS[:1]), {}, "labels"),
    (icnn.category_selectivity, (NAN, LABELS), {}, "maps"),
    (icnn.peak_spread, (POINTS[0], STRENGTH), {}, "points"),
    (icnn.peak_spread, (POINTS, STRENGTH[:2]), {}, "scores"),
    (icnn.bootstrap, (len, 0), {}, "n_images"),
    (icnn.bootstrap, (len, 5), {"samples": 0}, "samples"),
    (icnn.upscale, (X[0], 8), {}, "maps"),
    (icnn.upscale, (X, 0), {}, "image_size"),
    (icnn.discrepancy_map, (nn.ReLU(), X, 0), {}, "image"),
    (icnn.discrepancy_map, (nn.ReLU(), NAN[0], 0), {}, "image"),
    (icnn.discrepancy_map, (nn.ReLU(), X[0], 7), {"patch": 2, "stride": 1}, "unit_filter"),
    (icnn.discrepancy_map, (nn.ReLU(), X[0], 0), {"patch": 9}, "patch"),
    (icnn.average_receptive_field, (nn.ReLU(), X[0], 0), {}, "images"),
    (icnn.average_receptive_field, (nn.ReLU(), X, 0), {"top": 0}, "top"),
    (icnn.unit_centres, ("conv", 64), {}, "module"),
    (icnn.unit_centres, (nn.Conv2d(3, 3, 3), 0), {}, "image_size"),
    (icnn.unit_centres, (nn.Conv2d(3, 3, 9), 4), {}, "image_size"),
    (icnn.unit_centres, (nn.Linear(3, 3), 64), {}, "module"),
    (icnn.make_interpretable, (3, 2), {}, "cnn"),
    (icnn.make_interpretable, (nn.ReLU(), 2), {}, "cut"),
    (icnn.make_interpretable, (nn.ReLU(), 0), {}, "n_categories"),
    (icnn.make_interpretable, (nn.ReLU(), 2), {"image_size": 0}, "image_size"),
    (icnn.make_interpretable, (nn.ReLU(), 2), {"width": 2.5}, "width"),
    (icnn.make_interpretable, ("alexnet", 2), {"weights": 7}, "weights"),
    (icnn.make_interpretable, (CONV, 2), {"cut": "0", "image_size": 2}, "image_size"),
    (icnn.cached_features, ("vgg", None, "cache"), {}, "backbone"),
    (icnn.cached_features, (nn.ReLU(), X, "cache"), {}, "dataset"),
]


@pytest.mark.parametrize("function, arguments, options, name", CASES)
def test_the_error_names_the_argument(function, arguments, options, name) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        function(*arguments, **options)


def test_every_public_function_is_here() -> None:
    tried = {getattr(function, "__name__", "layer") for function, *_ in CASES}
    public = {name for name in icnn.__all__ if callable(getattr(icnn, name))}
    built = {"SmallCNN", "PartHead", "InterpretableCNN", "FeatureDataset"}  # by other functions
    assert public - tried - built <= {"predict", "accuracy", "live_filters", "dead_filters"}
