"""Do filters do the same job twice? Detectors, jobs, twins. Taught in lesson 10."""

import torch
from torch import Tensor, nn

import icnn
from icnn.data import PartDataset
from icnn.network import SmallCNN

TRACKED = 0.5  # from this part tracking on a filter counts as a detector of the part

MEASURES = (
    *("accuracy", "live filters", "tracking", "instability", "selectivity", "mass in mask"),
    *("peak spread", "detectors", "pairs", "doubles", "parts", "twin", "categories"),
)


@torch.no_grad()
def measure(model: SmallCNN, data: PartDataset) -> dict[str, float]:
    """Accuracy, and what the live filters do: how well, and how often the same.

    A *detector* has a part tracking of at least 0.5; its *job* is its part together with its
    category (of the highest mean activation). `pairs` is the number of different jobs, `doubles`
    the mean number of detectors for each, `parts` the number of different parts; `categories` how
    many the filters are spread over (exp of the entropy); `twin` is the mean correlation of a
    filter's masked maps with those of the filter most like it.
    """
    maps = icnn.predict(model.maps, data.floats())
    live = icnn.live_filters(maps)
    result = {"accuracy": icnn.accuracy(model, data), "live filters": int(live.sum())}
    if not live.any():
        return result | dict.fromkeys(MEASURES[2:], float("nan"))
    maps = maps[:, live]
    points, scores = peak_points(model, maps)
    part, tracking = icnn.best_part_tracking(points, scores, data.landmarks)
    category = icnn.assign_categories(maps, data.labels, len(data.categories))
    jobs = (category * len(data.parts) + part)[tracking >= TRACKED]
    masked = maps * icnn.part_mask(maps)
    instability = icnn.location_instability(points, scores, data.landmarks, 64)
    shares = nn.functional.one_hot(category, len(data.categories)).double().mean(0)
    return result | {
        "tracking": tracking.nanmean().item(),
        "instability": instability.nanmean().item(),
        "selectivity": icnn.category_selectivity(maps, data.labels).nanmean().item(),
        "mass in mask": (masked.sum((0, 2, 3)) / maps.sum((0, 2, 3))).mean().item(),
        "peak spread": icnn.peak_spread(points, scores).mean().item(),
        "detectors": len(jobs),
        "pairs": len(jobs.unique()),
        "doubles": len(jobs) / max(len(jobs.unique()), 1),
        "parts": len((jobs % len(data.parts)).unique()),
        "twin": twin_correlation(masked).mean().item(),
        "categories": torch.special.entr(shares).sum().exp().item(),
    }


def peak_points(model: SmallCNN, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Peaks of maps in pixels (N, C, 2) and their scores (N, C)."""
    units, scores = icnn.peaks(maps)
    return icnn.unit_centres(model, 64).pixels(units), scores


def twin_correlation(maps: Tensor) -> Tensor:
    """The highest correlation of each filter's maps with another's: (C,); −1 for a lone one."""
    together = torch.atleast_2d(torch.corrcoef(maps.transpose(0, 1).flatten(1)))
    return together.fill_diagonal_(-1).amax(1)
