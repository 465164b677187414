"""Writes small trees in the exact formats of the data sets of photographs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image

RNG = np.random.default_rng(0)


def photo(path: Path, height: int = 80, width: int = 120, mode: str = "RGB") -> None:
    """A picture whose red is the row and whose green is half the column."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows, cols = np.mgrid[:height, :width]
    pixels = np.stack([rows, cols / 2, np.full_like(rows, 40)], -1).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, quality=95)


# Animal-Part -----------------------------------------------------------------------------------


def animal(root: Path, wnid: str, boxes: list, heads: list, legs: list | None, *, version: int):
    """One category; a box is (xmin, ymin, xmax, ymax), a centre (row, col), None or two of them."""
    folder = root / "detanimalpart" / f"{wnid}_obj" / "img"
    for number in range(len(boxes)):
        photo(folder / "img" / f"{number + 1:05}.jpg", 200, 300)
    truth = root / "interpretableCNN/code/data_input/data_input_DET-2015-subset-ILSVRC2013train"
    (truth / wnid).mkdir(parents=True, exist_ok=True)
    write = _version_5 if version == 5 else _version_73
    write(folder / "data.mat", truth / wnid, boxes, {1: heads, 2: legs})


def _version_5(data: Path, truth: Path, boxes: list, parts: dict) -> None:
    names = ("xmin", "ymin", "xmax", "ymax")
    samples = np.zeros((1, len(boxes)), dtype=[("obj", object), ("class", object)])
    for number, box in enumerate(boxes):
        box = {n: float(v) for n, v in zip(names, box, strict=True)}
        samples[0, number] = ({"bndbox": box}, 1.0)
    scipy.io.savemat(data, {"samples": samples})
    for part, centres in parts.items():
        if centres is None:
            continue
        rows = np.zeros((1, len(centres)), dtype=[("pHW_center", object), ("pHW_scale", object)])
        for number, centre in enumerate(centres):
            value = np.zeros((0, 0)) if centre is None else np.array(centre, float).reshape(-1, 2).T
            rows[0, number] = (value, value)
        scipy.io.savemat(truth / f"truth_part{part:02}.mat", {"truth": rows})


def _version_73(data: Path, truth: Path, boxes: list, parts: dict) -> None:
    with h5py.File(data, "w") as file:
        references = []
        for number, box in enumerate(boxes):
            group = file.create_group(f"#refs#/o{number}/bndbox")
            for name, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
                group[name] = np.array([[float(value)]])
            references.append([group.parent.ref])
        samples = file.create_group("samples")
        samples.create_dataset("obj", data=np.array(references, h5py.ref_dtype))
    for part, centres in parts.items():
        if centres is None:
            continue
        with h5py.File(truth / f"truth_part{part:02}.mat", "w") as file:
            references = []
            for number, centre in enumerate(centres):
                item = np.array([0, 0], np.uint64)
                if centre is not None:
                    item = np.array(centre, float).reshape(-1, 2)
                dataset = file.create_dataset(f"#refs#/c{number}", data=item)
                if centre is None:
                    dataset.attrs["MATLAB_empty"] = np.uint8(1)
                references.append([dataset.ref])
            group = file.create_group("truth")
            group.create_dataset("pHW_center", data=np.array(references, h5py.ref_dtype))


def negatives(root: Path, count: int) -> None:
    for number in range(count):
        photo(root / f"interpretableCNN/data/neg/{number + 1:05}.JPEG", mode="L")


# CUB-200-2011 ----------------------------------------------------------------------------------

BIRD_PARTS = (
    *("back", "beak", "belly", "breast", "crown", "forehead", "left eye", "left leg", "left wing"),
    *("nape", "right eye", "right leg", "right wing", "tail", "throat"),
)


def birds(
    root: Path, *, newline: str = "\n", modes: tuple[str, ...] = ("RGB", "L", "CMYK")
) -> Path:
    """Three birds of two species; the second one's box leaves the image, half the parts unseen."""
    folder = root / "CUB_200_2011"
    (folder / "parts").mkdir(parents=True)
    names = [f"00{k}.Bird_{k}/Bird_{i}.jpg" for i, k in enumerate((1, 1, 2))]
    for name, mode in zip(names, ("RGB", "L", "CMYK"), strict=True):
        photo(folder / "images" / name, 100, 150, mode)
    tables = {
        "images.txt": [f"{i + 1} {name}" for i, name in enumerate(names)],
        "image_class_labels.txt": ["1 1", "2 1", "3 2"],
        "classes.txt": ["1 001.Bird_1", "2 002.Bird_2"],
        "train_test_split.txt": ["1 1", "2 0", "3 1"],
        "bounding_boxes.txt": [
            "1 10.0 20.0 50.0 40.0",
            "2 -5.0 60.0 100.0 80.0",
            "3 0.0 0.0 150.0 100.0",
        ],
        "parts/parts.txt": [
            f"{k + 1} {name.replace('-', ' ')}" for k, name in enumerate(BIRD_PARTS)
        ],
        "parts/part_locs.txt": [
            f"{i} {k} {20.0 + k} {30.0 + 2 * k} {k % 2}" if k % 2 else f"{i} {k} 0.0 0.0 0"
            for i in (1, 2, 3)
            for k in range(1, 16)
        ],
    }
    for name, lines in tables.items():
        (folder / name).write_bytes((newline.join(lines) + newline).encode())
    return folder


# Pascal-Part -----------------------------------------------------------------------------------


def rectangle(shape: tuple[int, int], top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


def voc_image(root: Path, name: str, things: list[dict], *, shape: tuple[int, int] = (120, 160)):
    """One image and its Pascal-Part annotation; a thing has class, box and parts {piece: box}."""
    photo(root / "VOCdevkit/VOC2010/JPEGImages" / f"{name}.jpg", *shape)
    objects = []
    for thing in things:
        pieces = [
            {"part_name": piece, "mask": rectangle(shape, *box)}
            for piece, box in thing["parts"].items()
        ]
        parts = np.array(pieces, object) if pieces else np.zeros((0, 0))
        mask = rectangle(shape, *thing["box"])
        objects.append(
            {"class": thing["class"], "class_ind": 8.0, "mask": mask, "parts": _struct(parts)}
        )
    (root / "Annotations_Part").mkdir(exist_ok=True)
    anno = {"imname": name, "objects": _struct(np.array(objects, object))}
    scipy.io.savemat(root / "Annotations_Part" / f"{name}.mat", {"anno": anno})


def _struct(records: np.ndarray) -> np.ndarray:
    """A list of dicts as MATLAB's struct array."""
    if not records.size:
        return records
    array = np.zeros((1, len(records)), dtype=[(name, object) for name in records[0]])
    for number, record in enumerate(records):
        array[0, number] = tuple(record.values())
    return array


def voc_list(root: Path, category: str, lines: list[str], newline: str = "\n") -> None:
    folder = root / "VOCdevkit/VOC2010/ImageSets/Main"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{category}_trainval.txt").write_bytes((newline.join(lines) + newline).encode())
