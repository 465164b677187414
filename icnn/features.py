"""Features of a backbone that is not trained, computed once and kept on disk.

Taught in lesson 9.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from icnn._check_args import MODULE, Value, all_finite, checked
from icnn._files import replacing
from icnn.data import PartDataset
from icnn.network import evaluating
from icnn.train import predict

SETTINGS = (bool, int, float, str, tuple, torch.dtype, Tensor)  # of a module, as its `beta`
BLOCK = 64  # images that are computed, checked and kept together


@dataclass(frozen=True)
class FeatureDataset(PartDataset):
    """A data set whose `images` are a backbone's maps (N, C, n, n), float16, read when needed.

    Landmarks stay in pixels of the images the maps were made of. Made by `icnn.cached_features`;
    taught in lesson 9.
    """

    def floats(self, index: Tensor | slice = slice(None)) -> Tensor:
        """The maps, or those with these indices, float32."""
        return self.images[index].float()


@checked(backbone=MODULE, dataset=Value("a PartDataset, not empty", PartDataset, len))
def cached_features(
    backbone: nn.Module, dataset: PartDataset, folder: str | Path, *, progress: bool = True
) -> FeatureDataset:
    """The maps that a backbone gives for every image, from the disk where they are there already.

    Memory-mapped float16, with the data set's labels, landmarks and names, in a file named after
    the content of the images, of the transform's result and of the backbone (weights, buffers,
    public settings of its modules): a change of any of them computes anew, and so does another
    answer to the first image. Finished blocks survive an interruption, and a block that was damaged
    is computed again. Taught in lesson 9.

    Args:
        backbone: maps images (N, 3, H, W) to maps (N, C, n, n), in eval mode.
        dataset: any of `icnn.data`'s.
        folder: where to keep the maps; made where missing.
        progress: whether to show a progress bar where there is something to compute.

    Raises:
        ValueError: features do not fit float16.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_key(backbone, dataset)}.npy"
    with evaluating(backbone):  # once: what was traced is compiled anew with every change of mode
        one = predict(backbone, dataset.floats(slice(0, 1)))
        maps = _open(path, (len(dataset), *one.shape[1:]))
        journal = path.with_suffix(".json")
        if not np.allclose(maps[0], one[0], rtol=0, atol=0.01 * float(one.abs().max())):
            _write(journal, {})
        _fill(maps, backbone, dataset, journal, progress)
    kept = {field.name: getattr(dataset, field.name) for field in fields(dataset)}
    maps = torch.from_numpy(np.load(path, mmap_mode="c"))  # writing to it changes no file
    return FeatureDataset(**kept | {"images": maps, "transform": None})


def _open(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """The file of maps, made new where it is missing, cut off or of another shape."""
    try:
        maps = np.lib.format.open_memmap(path, "r+")
        if maps.shape == shape and maps.dtype == np.float16:
            return maps
    except (FileNotFoundError, ValueError):
        pass
    return np.lib.format.open_memmap(path, "w+", np.float16, shape)


def _fill(maps: np.memmap, backbone, dataset: PartDataset, journal: Path, progress: bool) -> None:
    """Compute every block whose checksum is not in the journal or does not match."""
    from tqdm.auto import tqdm

    sums, blocks = _read(journal), []
    for start in range(0, len(maps), BLOCK):
        block = slice(start, min(start + BLOCK, len(maps)))
        if str(start) not in sums or sums[str(start)] != _digest(maps[block]):
            blocks.append(block)
    for block in tqdm(blocks, unit="block", disable=not (progress and blocks)):
        values = predict(backbone, dataset.floats(block)).half()
        if not all_finite(values):
            raise ValueError("backbone must give finite maps below 65504, the limit of float16")
        maps[block] = values.numpy()
        maps.flush()
        sums[str(block.start)] = _digest(maps[block])
        _write(journal, sums)


def _read(journal: Path) -> dict[str, str]:
    try:
        return json.loads(journal.read_text())
    except (FileNotFoundError, ValueError):
        return {}


def _write(journal: Path, sums: dict[str, str]) -> None:
    with replacing(journal) as new:
        new.write_text(json.dumps(sums))


def _key(backbone: nn.Module, dataset: PartDataset) -> str:
    """A name for the images, the transform and the backbone, by their content."""
    digest = hashlib.sha256(repr(backbone).encode())
    for part in _contents(backbone, dataset):
        if isinstance(part, Tensor):
            digest.update(f"{part.dtype} {tuple(part.shape)} {part.stride()}".encode())
            as_it_lies = sorted(range(part.ndim), key=part.stride, reverse=True)  # needs no copy
            part = part.detach().cpu().permute(as_it_lies).flatten().view(torch.uint8).numpy()
        else:
            part = repr(part).encode()
        digest.update(part)
    return digest.hexdigest()[:32]


def _contents(backbone: nn.Module, dataset: PartDataset) -> Iterator[object]:
    """The tensors and the plain settings that an answer may depend on."""
    yield dataset.images
    yield dataset.floats(slice(0, 8))  # what the transform does
    for name, module in backbone.named_modules():
        yield name, type(module).__qualname__
        yield from module.parameters(recurse=False)
        yield from module.buffers(recurse=False)
        for setting, value in sorted(vars(module).items()):
            if isinstance(value, SETTINGS) and setting[0] != "_" and setting != "training":
                yield setting
                yield value


def _digest(block: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(block)).hexdigest()
