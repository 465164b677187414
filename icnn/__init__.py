"""icnn: interpretable convolutional neural networks, from the idea to the evidence.

The method of Zhang, Wu and Zhu, "Interpretable Convolutional Neural Networks" (CVPR 2018).
Every public name is reachable from here and is loaded when it is first used.
"""

import importlib

__version__ = "0.1.0"

_HOME = {
    "templates": "part_templates template_prior part_mask",
    "information": "fitness mutual_information entropy_terms",
    "loss": "filter_loss category_loss paper_gradient",
    "layer": "InterpretableLayer filter_losses assign_categories",
    "network": "InterpretableCNN PartHead SmallCNN small_cnn",
    "train": "fit predict accuracy",
    "measure": """
        peaks location_instability location_instability_by_category part_tracking
        best_part_tracking constant_control part_interpretability category_selectivity
        dead_filters live_filters peak_spread bootstrap
    """,
    "receptive_field": "unit_centres upscale discrepancy_map average_receptive_field",
    "surgery": "make_interpretable",
    "features": "cached_features FeatureDataset",
    "explain": "",
    "data": "",
}
_ROOMS = {
    "course": "show check explore checkpoints tables",
    "experiments": "ablation photos released rethink",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}
__all__ = [*_HOME, *_ROOM_OF, *_MODULE_OF]


def __getattr__(name: str):
    if name in _HOME or name in _ROOMS:
        return importlib.import_module(f"icnn.{name}")
    if name in _ROOM_OF:
        return importlib.import_module(f"icnn.{_ROOM_OF[name]}.{name}")
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"icnn.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'icnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
