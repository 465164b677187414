"""Folders of one's own photographs, as people have them."""

from __future__ import annotations

import json
import struct
import tracemalloc
from pathlib import Path

import pytest
import torch
from PIL import Image

from icnn.data import PhotoFolder


def test_a_folder_of_ones_own_photographs(tmp_path):
    for name in ("mug/a.jpg", "mug/b.PNG", "cup/c.webp"):
        picture(tmp_path / name)
    mugs = PhotoFolder(tmp_path, size=32)
    assert mugs.categories == ("cup", "mug") and mugs.labels.tolist() == [1, 0, 1]
    assert mugs.landmarks.shape == (3, 0, 2) and mugs.part_masks().shape == (3, 0, 32, 32)


def picture(path, width=40, height=20, **options):
    """Red on the left, blue on the right."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    image.save(path, **options)


@pytest.mark.parametrize("name", ["a.jpg", "A.JFIF", "a.tif", "a.gif", "a.png", "2020/may/a.jpeg"])
def test_whatever_pillow_can_open_is_a_photograph(tmp_path, name):
    kind = {".JFIF": "JPEG"}.get(Path(name).suffix)
    picture(tmp_path / "cup" / name, format=kind)
    picture(tmp_path / "mug/a.jpg", 10, 10)
    cups = PhotoFolder(tmp_path, size=8)
    assert cups.categories == ("cup", "mug") and cups.labels.tolist() == [0, 1]
    red, _, blue = cups.images[0].int()
    assert red[:, 0].min() > 200 > 60 > red[:, -1].max() and blue[:, -1].min() > 200


def test_what_is_hidden_or_no_photograph_changes_no_label(tmp_path):
    picture(tmp_path / "cup/a.jpg")
    picture(tmp_path / "mug/a.jpg", 10, 10)
    for name in (".ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", "cup/.hidden/b.jpg"):
        picture(tmp_path / name, 6, 6)
    (tmp_path / "cup/.DS_Store").write_bytes(b"0")
    (tmp_path / "empty").mkdir()
    for name in ("Thumbs.db", "photo.heic", "empty.jpg"):
        (tmp_path / "mug" / name).write_bytes(b"" if name == "empty.jpg" else b"no image")
    whole = (tmp_path / "mug/a.jpg").read_bytes()
    (tmp_path / "mug/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "mug/again.jpg").write_bytes(whole)
    (tmp_path / "mug/gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.warns(UserWarning, match="skipped 7: ") as told:
        mugs = PhotoFolder(tmp_path, size=8)
    assert mugs.categories == ("cup", "mug") and mugs.labels.tolist() == [0, 1]
    text = str(told[0].message)
    assert "mug/again.jpg" not in text or "the same file as" in text
    assert "mug/Thumbs.db (no image that Pillow knows)" in text and "and 2 more" in text


def test_a_photograph_outside_the_folders_is_named(tmp_path):
    picture(tmp_path / "cup/a.jpg")
    picture(tmp_path / "lost.JPG")
    (tmp_path / "labels.csv").write_text("")
    with pytest.warns(UserWarning, match=r"skipped 1: lost\.JPG \(in no category's folder\)"):
        PhotoFolder(tmp_path, size=8)


def test_what_pillow_stumbles_over_costs_one_photograph(tmp_path, monkeypatch):
    def stumbles(image, **_):
        image.load()
        if image.width < 20:
            raise struct.error("required argument is not an integer")
        return image

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", stumbles)
    picture(tmp_path / "cup/a.jpg")
    picture(tmp_path / "cup/b.jpg", 10, 10)
    with pytest.warns(UserWarning, match=r"skipped 1: cup/b\.jpg \(cannot be read: required"):
        assert len(PhotoFolder(tmp_path, size=8)) == 1


@pytest.mark.parametrize("names", [("train", "val"), ("Train", "Test", "Validation"), ("test",)])
def test_splits_are_no_categories(tmp_path, names):
    for name in names:
        picture(tmp_path / name / "cup/a.jpg")
        picture(tmp_path / name / "mug/a.jpg", 10, 10)
    with pytest.raises(ValueError, match=rf"root.*{sorted(names)[0]}.*pass one of them"):
        PhotoFolder(tmp_path, size=8)
    assert PhotoFolder(tmp_path / names[0], size=8).categories == ("cup", "mug")


def test_no_warning_where_nothing_was_skipped(tmp_path, recwarn):
    picture(tmp_path / "cup/a.jpg")
    PhotoFolder(tmp_path, size=8)
    assert not recwarn.list


def test_photographs_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: the left side is up
    picture(tmp_path / "cup/a.png", 20, 20, exif=exif)
    red = PhotoFolder(tmp_path, size=8).images[0, 0]
    assert red[0].min() > 200 and red[-1].max() < 60


def test_the_square_in_the_middle_is_not_squashed(tmp_path):
    image = Image.new("RGB", (100, 20), "white")
    image.paste("black", (45, 5, 55, 15))
    (tmp_path / "cup").mkdir()
    image.save(tmp_path / "cup/a.png")
    dark = PhotoFolder(tmp_path, size=20).images[0, 0] < 128
    assert dark.any(0).sum() == dark.any(1).sum() == 10


@pytest.mark.parametrize(
    "mode, colour, wanted",
    [
        ("I;16", 40000, (156, 156, 156)),
        ("I;16", 0, (0, 0, 0)),
        ("L", 90, (90, 90, 90)),
        ("1", 1, (255, 255, 255)),
        ("LA", (90, 255), (90, 90, 90)),
        ("LA", (90, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("P", 0, (0, 0, 0)),
    ],
)
def test_every_kind_of_png_looks_as_it_does_elsewhere(tmp_path, mode, colour, wanted):
    (tmp_path / "cup").mkdir()
    Image.new(mode, (9, 9), colour).save(tmp_path / "cup/a.png")
    assert PhotoFolder(tmp_path, size=4).images[0, :, 2, 2].tolist() == list(wanted)


def test_every_slice_holds_each_category_and_splits_share_nothing(tmp_path):
    for k, (name, count) in enumerate({"cup": 20, "mug": 10}.items()):
        for i in range(count):
            picture(tmp_path / name / f"{i}.png", 10 + i, 20 + 30 * k)
    everything = PhotoFolder(tmp_path, size=4)
    assert everything.labels[:9].bincount().tolist() == [6, 3]
    train, test = PhotoFolder(tmp_path, "train", size=4), PhotoFolder(tmp_path, "test", size=4)
    assert train.labels.bincount().tolist() == [16, 8]
    assert test.labels.bincount().tolist() == [4, 2]


def test_a_huge_image_is_skipped_with_its_reason(tmp_path, monkeypatch):
    picture(tmp_path / "cup/a.png")
    picture(tmp_path / "cup/b.png", 90, 90)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.warns(UserWarning, match=r"cup/b\.png \(cannot be read: .*exceeds limit"):
        assert len(PhotoFolder(tmp_path, size=4)) == 1


def test_memory_holds_no_more_for_more_photographs(tmp_path):
    for i in range(60):
        picture(tmp_path / f"{i % 2}/{i}.png", 10, 10 + i)
    tracemalloc.start()
    photos = PhotoFolder(tmp_path, size=128)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert photos.images.numel() > 2_900_000 and peak < 600_000


def test_a_split_without_a_photograph_is_named(tmp_path):
    picture(tmp_path / "cup/a.png")
    with pytest.raises(ValueError, match="no object of cup in the split 'test'"):
        PhotoFolder(tmp_path, "test", size=4)


def points_of(tmp_path, text):
    (tmp_path / "points.csv").write_text("picture,part,row,column\n" + text)
    return PhotoFolder(tmp_path, size=30, landmarks=tmp_path / "points.csv")


def test_landmarks_come_from_a_table(tmp_path):
    """Squares of 20 pixels from the middle of 40 × 20 ones, half as large again; one is turned."""
    picture(tmp_path / "mug" / "a.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture(tmp_path / "mug" / "b.jpg", exif=turned)
    picture(tmp_path / "cup" / "c.png")
    text = "mug/a.png,handle,10,15\nmug/a.png,rim,0,30\nmug/b.jpg,handle,12,4\ncup/c.png,rim,3,9\n"
    mugs = points_of(tmp_path, text)
    assert mugs.parts == ("handle", "rim")
    nan = float("nan")
    wanted = {
        "a": [[15, 7.5], [0, 30]],
        "b": [[3, 6], [nan, nan]],
        "c": [[nan, nan], [nan, nan]],  # to the left of the square
    }
    assert mugs.labels.tolist() == [1, 0, 1]  # the categories are mixed: a, c, b
    found = [wanted[name] for name in "acb"]
    torch.testing.assert_close(mugs.landmarks, torch.tensor(found), equal_nan=True)


@pytest.mark.parametrize(
    "line, what",
    [
        ("mug/x.png,handle,1,2", "names mug/x.png"),
        ("mug/a.png,handle,one,2", "line 2: .*could not convert"),
        ("mug/a.png,handle,1", "line 2: .*float"),
    ],
)
def test_a_wrong_line_of_the_table_is_named(tmp_path, line, what):
    picture(tmp_path / "mug" / "a.png")
    with pytest.raises(ValueError, match=what):
        points_of(tmp_path, line)


@pytest.mark.parametrize("name", ["points.csv", "points.json"])
def test_no_such_table(tmp_path, name):
    picture(tmp_path / "mug" / "a.png")
    with pytest.raises(FileNotFoundError):
        PhotoFolder(tmp_path, landmarks=tmp_path / name)


def coco(**changes):
    """Three pictures: one with two mugs, one with a cup, one with nothing that is labelled."""
    things = [
        (1, 7, [15, 10, 2, 30, 0, 1], 50.0),
        (1, 7, [11, 11, 2, 12, 12, 2], 20.0),
        (2, 8, [4, 12, 2], 9.0),
        (3, 7, [0, 0, 0, 0, 0, 0], 99.0),
    ]
    names = ("image_id", "category_id", "keypoints", "area")
    return {
        "images": [{"id": i, "file_name": f"mug/{n}.png"} for i, n in enumerate("abc", 1)],
        "categories": [
            {"id": 7, "name": "mug", "keypoints": ["handle", "rim"]},
            {"id": 8, "name": "cup", "keypoints": ["rim"]},
            {"id": 9, "name": "a box alone"},
        ],
        "annotations": [
            {"image_id": 3, "category_id": 9, "bbox": [0, 0, 1, 1]},
            *(dict(zip(names, thing, strict=True)) for thing in things),
        ],
        **changes,
    }


def with_coco(tmp_path, content):
    for size, name in enumerate("abc"):
        picture(tmp_path / "mug" / f"{name}.png", 40, 20 + size)
    (tmp_path / "points.json").write_bytes(content)
    return PhotoFolder(tmp_path, size=20, landmarks=tmp_path / "points.json")


def test_landmarks_come_from_keypoints_of_coco(tmp_path):
    mugs = with_coco(tmp_path, json.dumps(coco()).encode())
    nan = float("nan")
    wanted = [[[10, 5], [0, 20]], [[nan, nan], [nan, nan]], [[nan, nan], [nan, nan]]]
    assert mugs.parts == ("rim", "handle")  # smallest object first
    torch.testing.assert_close(mugs.landmarks[:, [1, 0]], torch.tensor(wanted), equal_nan=True)


THING = coco()["annotations"][1]
NAMED_PART = {"id": 7, "keypoints": ["handle"]}


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"null", b"\xff\xfe", b"{", b"[" * 100_000, b'{"images": 3}',
        {"images": [{"id": 1}]}, {"images": []}, {"categories": []}, {"categories": [NAMED_PART]},
        {"annotations": [THING | {"keypoints": 3}]}, {"annotations": [THING | {"keypoints": [1]}]},
        {"annotations": [THING | {"keypoints": [1, 2, 2]}]}, {"annotations": [THING, None]},
        {"annotations": [THING | {"keypoints": ["a", 2, 2] * 2}]},
        {"annotations": [THING | {"image_id": 44}]},
        {"annotations": [THING | {"area": "big"}, THING]},
    ],
)  # fmt: skip
def test_a_bad_file_of_keypoints_is_named(tmp_path, content):
    if isinstance(content, dict):
        content = json.dumps(coco(**content)).encode()
    with pytest.raises(ValueError, match=r"landmarks: .*points\.json must hold COCO keypoints: "):
        with_coco(tmp_path, content)


def test_a_picture_of_the_keypoints_that_is_not_there_is_named(tmp_path):
    images = [{"id": i, "file_name": f"mug/{n}.png"} for i, n in enumerate("xbc", 1)]
    with pytest.raises(ValueError, match=r"names mug/x\.png, which is no photograph"):
        with_coco(tmp_path, json.dumps(coco(images=images)).encode())
