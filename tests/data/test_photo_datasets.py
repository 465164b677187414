"""The data sets of photographs, on small trees in their formats and on the real ones."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import tarfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("h5py", reason="the data sets of photographs need: pip install 'icnn[photos]'")

import photo_trees as trees

from icnn import data
from icnn.course import tables
from icnn.data import CUB200, AnimalParts, PhotoFolder, VOCParts, animal_parts, cub
from icnn.data.download import extract, fetch
from icnn.data.split import of_split

FOX, FROG, FISH = "n02118333", "n01639765", "n01443537"
BOXES = [(11, 21, 110, 120), (1, 1, 300, 200), (5, 5, 30, 30), (250, 150, 400, 300)]
HEADS = [(50.5, 120.5), None, (1, 1), [(10, 20), (30, 40)]]
LEGS = [(224, 1), (100, 50), None, None]
unpacks = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="unpacking needs Python 3.11.4 or newer"
)


@pytest.fixture(params=[5, 73])
def animals(tmp_path, request):
    trees.animal(tmp_path, FOX, BOXES, HEADS, LEGS, version=request.param)
    trees.animal(tmp_path, FISH, BOXES[:2], HEADS[:2], None, version=request.param)
    trees.negatives(tmp_path, 3)
    return tmp_path


def test_animal_parts_reads_both_kinds_of_matlab_files(animals):
    foxes = AnimalParts(animals, "fox", "all", size=112)
    assert foxes.images.shape == (3, 3, 112, 112) and foxes.images.dtype == torch.uint8
    assert foxes.categories == ("fox",) and foxes.parts == ("head", "front leg")
    nan = [torch.nan, torch.nan]
    wanted = [[[25.0, 60.0], [111.75, 0.25]], [nan, [49.75, 24.75]], [nan, nan]]
    torch.testing.assert_close(foxes.landmarks, torch.tensor(wanted), equal_nan=True)


def test_the_animals_are_those_of_the_published_table():
    table = tables.read("paper", "location_instability.csv")
    assert {row["wnid"]: row["category"] for row in table} == animal_parts.ANIMALS
    assert list(animal_parts.ANIMALS) == [row["wnid"] for row in table]


def test_a_crop_shows_what_is_in_the_box(animals):
    crop = AnimalParts(animals, FOX, "all", size=100).images[0].double()
    rows = torch.arange(20, 120)  # of a box from pixel 21 to 120, counted from 1
    cols = torch.arange(10, 110) / 2
    assert (crop[0].mean(1) - rows).abs().max() < 3
    assert (crop[1].mean(0) - cols).abs().max() < 3


def test_a_box_outside_the_image_is_cut_off_and_small_objects_are_left_out(animals):
    assert len(AnimalParts(animals, "fox", "all")) == 3  # one of four is smaller than 50 × 50
    last = AnimalParts(animals, "fox", "all", size=51).images[2].double()
    assert (last[1].mean(0) - torch.arange(249, 300) / 2).abs().max() < 2  # all there is of it


def test_animal_parts_with_negatives_and_a_missing_part(animals):
    both = AnimalParts(animals, ["goldfish", "fox"], "all", negatives=True)
    assert both.categories == ("goldfish", "fox", "none of them")
    assert both.labels.tolist() == [0, 0, 1, 1, 1, 2, 2, 2]
    assert both.landmarks[both.labels == 2].isnan().all()
    assert both.landmarks[:2, 1].isnan().all()  # nobody marked a goldfish's leg
    assert AnimalParts(animals, split="all").categories == ("goldfish", "fox")


def test_the_split_is_the_authors():
    train = of_split(20, "train", 0.9)
    linspace = [1 + i * 19 / 17 for i in range(18)]
    assert train.nonzero().flatten().tolist() == [int(v + 0.5) - 1 for v in linspace]
    assert (of_split(20, "test", 0.9) == ~train).all() and of_split(20, "all", 0.9).all()


def test_a_damaged_photograph_is_named(animals):
    path = animals / "detanimalpart" / f"{FOX}_obj/img/img/00002.jpg"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ValueError, match=r"00002\.jpg is truncated"):
        AnimalParts(animals, "fox", "all")


@pytest.mark.parametrize("content", [b"", b"no matlab file", b"\x89HDF\r\n\x1a\n and no more"])
def test_a_damaged_matlab_file_is_named(animals, content):
    (animals / "detanimalpart" / f"{FOX}_obj/img/data.mat").write_bytes(content)
    with pytest.raises(ValueError, match=r"data\.mat is damaged"):
        AnimalParts(animals, "fox", "all")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"categories": "unicorn"}, "categories"),
        ({"categories": []}, "categories"),
        ({"split": "validation"}, "split"),
        ({"train_share": 1.0}, "train_share"),
        ({"size": 0}, "size"),
    ],
)
def test_bad_arguments_of_animal_parts_are_named(animals, options, name):
    with pytest.raises(ValueError, match=name):
        AnimalParts(animals, **options)


def test_without_the_data_the_message_says_how_to_get_it(tmp_path):
    for read in (AnimalParts, partial(AnimalParts, categories="fox"), CUB200, VOCParts):
        with pytest.raises(FileNotFoundError, match=r"download=True|unpack"):
            read(tmp_path)
    with pytest.raises(FileNotFoundError, match="no photographs"):
        PhotoFolder(tmp_path)


@pytest.mark.parametrize("name", data._HOME)
def test_every_data_set_names_a_root_without_data_and_a_split_that_is_none(tmp_path, name):
    read = getattr(data, name)
    for root in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(FileNotFoundError, match="root"):
            read(root)
    with pytest.raises(ValueError, match="split must be"):
        read(tmp_path, split="validation")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_cub_reads_its_text_files(tmp_path, newline):
    trees.birds(tmp_path, newline=newline)
    birds = CUB200(tmp_path, "all", size=64)
    assert birds.images.shape == (3, 3, 64, 64) and birds.labels.tolist() == [0, 0, 1]
    assert birds.categories == ("001.Bird_1", "002.Bird_2") and len(birds.parts) == 15
    assert birds.parts[6] == "left eye"
    assert birds.landmarks[:, 1::2].isnan().all() and birds.landmarks[:, 0::2].isfinite().all()
    # part 1 is at (x, y) = (21, 32); the first box starts at (10, 20) and is 50 wide and 40 high
    torch.testing.assert_close(birds.landmarks[0, 0], torch.tensor([12 / 40, 11 / 50]) * 64)
    # the second box is cut off at the image's left and lower edges: 95 × 40 from (0, 60)
    torch.testing.assert_close(birds.landmarks[1, 0], torch.tensor([-28 / 40, 21 / 95]) * 64)
    assert CUB200(tmp_path, "train").labels.tolist() == [0, 1]
    assert CUB200(tmp_path, "test").labels.tolist() == [0]


def test_grey_and_cmyk_photographs_become_rgb(tmp_path):
    trees.birds(tmp_path)
    images = CUB200(tmp_path, "all", size=64).images.int()
    assert (images[1][0] == images[1][2]).all()  # the second is grey
    assert (images[2][1, :, -8:] > images[2][1, :, :8] + 50).all()  # the third is CMYK


@pytest.mark.parametrize("content", ["", "1\n", "1 ten 20 30 40\n", "1 1 1 1 1 1 1\n", "one two\n"])
@pytest.mark.parametrize(
    "table",
    [
        "bounding_boxes.txt",
        "image_class_labels.txt",
        "train_test_split.txt",
        "parts/part_locs.txt",
    ],
)
def test_damaged_tables_are_named(tmp_path, table, content):
    folder = trees.birds(tmp_path)
    (folder / table).write_text(content)
    with pytest.raises(ValueError, match=rf"{Path(table).name} is damaged"):
        CUB200(tmp_path)


CAT = {
    "class": "cat",
    "box": (10, 20, 90, 120),
    "parts": {
        "head": (10, 20, 40, 50),
        "lear": (10, 20, 15, 25),
        "torso": (40, 20, 70, 110),
        "neck": (36, 30, 44, 50),
        "lfleg": (70, 20, 90, 30),
        "lfpa": (85, 20, 90, 34),
        "tail": (40, 110, 45, 120),
    },
}
SHEEP = {"class": "sheep", "box": (0, 0, 60, 60), "parts": {"tail": (0, 0, 9, 9)}}
SMALL = {"class": "cat", "box": (100, 100, 110, 110), "parts": {}}


@pytest.fixture
def voc(tmp_path):
    trees.voc_image(tmp_path, "2008_000001", [CAT, SMALL, SHEEP])
    trees.voc_image(tmp_path, "2008_000002", [{**CAT, "parts": {}}])
    trees.voc_list(tmp_path, "cat", ["2008_000001  1", "2008_000002  0", "2008_000009 -1"], "\r\n")
    trees.voc_list(tmp_path, "sheep", ["2008_000001  1"])
    return tmp_path


def test_voc_parts_merges_the_pieces(voc):
    cats = VOCParts(voc, "cat", "all", size=100)  # the box is 100 wide and 80 high
    assert cats.images.shape == (2, 3, 100, 100) and cats.labels.tolist() == [0, 0]
    masks = dict(zip(cats.parts, cats.part_masks()[0], strict=True))
    assert masks["head"].sum() == pytest.approx(26 / 80 * 100 * 30 + 4 / 80 * 100 * 10, rel=0.06)
    assert masks["front leg"].any() and not masks["back leg"].any() and not masks["neck"].any()
    assert masks["tail"][40, 95] and masks["torso"][50, 50]
    points = dict(zip(cats.parts, cats.landmarks[0], strict=True))
    assert points["head"].tolist() == pytest.approx([15 / 80 * 100, 15])
    assert points["front leg"].tolist() == pytest.approx([70 / 80 * 100, 7])  # leg and paw together
    assert points["neck"].tolist() == pytest.approx([30 / 80 * 100, 20])
    assert points["back leg"].isnan().all() and cats.landmarks[1].isnan().all()
    assert not cats.part_masks()[1].any()


def test_a_sheep_has_no_tail_for_the_authors(voc):
    sheep = VOCParts(voc, "sheep", "all")
    assert len(sheep) == 1 and not sheep.part_masks().any()
    assert VOCParts(voc, ("sheep", "cat"), "all").labels.tolist() == [0, 1, 1]


def test_a_category_without_objects_is_named(voc):
    trees.voc_list(voc, "cow", ["2008_000003 -1"])
    with pytest.raises(ValueError, match="categories: no cow of 2500 pixels or more"):
        VOCParts(voc, "cow", "all")
    with pytest.raises(ValueError, match="categories: no object of sheep in the split 'test'"):
        VOCParts(voc, "sheep", "test")


def test_a_category_of_animals_that_are_all_too_small_is_named(tmp_path):
    trees.animal(tmp_path, FOX, [(5, 5, 30, 30)], [None], [None], version=5)
    with pytest.raises(ValueError, match="categories: no fox of 2500 pixels or more"):
        AnimalParts(tmp_path, "fox", "all")


def test_bad_voc_input_is_named(voc):
    with pytest.raises(ValueError, match="categories"):
        VOCParts(voc, "unicorn")
    with pytest.raises(ValueError, match="split"):
        VOCParts(voc, "cat", "val")
    trees.photo(voc / "VOCdevkit/VOC2010/JPEGImages/2008_000002.jpg", 50, 60)
    with pytest.raises(ValueError, match="does not fit its image"):
        VOCParts(voc, "cat", "all")


def test_mirroring_and_joining(voc):
    cats = VOCParts(voc, "cat", "all", size=100)
    mirrored = cats.mirrored()
    assert (mirrored.images == cats.images.flip(-1)).all()
    assert mirrored.landmarks[0, 0].tolist() == pytest.approx([15 / 80 * 100, 100 - 15])
    assert (mirrored.part_masks() == cats.part_masks().flip(-1)).all()
    both = cats.joined(mirrored)
    assert len(both) == 4 and (both.images[2:] == mirrored.images).all()
    with pytest.raises(ValueError, match="other"):
        cats.joined(VOCParts(voc, "sheep", "all"))


def test_a_transform_is_applied(voc):
    cats = VOCParts(voc, "cat", "all", transform=lambda image: 1 - image)
    torch.testing.assert_close(cats.floats(slice(0, 1))[0], 1 - cats.images[0] / 255)
    torch.testing.assert_close(cats[0][0], 1 - cats.images[0] / 255)


# Downloads -------------------------------------------------------------------------------------

CONTENT = np.random.default_rng(1).bytes(300_000)
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves a dict of files, with ranges; breaks off after `limit` bytes."""

    files: dict[str, bytes]
    limit = None
    asked: list

    def do_GET(self):
        content = self.files.get(self.path)
        if content is None:
            return self.send_error(404)
        span = self.headers.get("Range")
        self.asked.append((self.path, span))
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.limit])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"files": {"/file": CONTENT}, "asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        handler.address = f"http://127.0.0.1:{running.server_port}"
        yield handler
        running.shutdown()


def test_a_download_goes_on_where_it_stopped(server, tmp_path):
    path, server.limit = tmp_path / "a" / "file", 100_000
    with pytest.raises((ConnectionError, ValueError)):
        fetch(f"{server.address}/file", path, MD5, progress=False)
    assert not path.exists()
    (tmp_path / "a").mkdir(exist_ok=True)
    (tmp_path / "a" / "file.part").write_bytes(CONTENT[:100_000])
    server.limit = None
    fetch(f"{server.address}/file", path, MD5, progress=False)
    assert path.read_bytes() == CONTENT and server.asked[-1] == ("/file", "bytes=100000-")
    count = len(server.asked)
    fetch(f"{server.address}/file", path, MD5, progress=False)
    assert len(server.asked) == count  # it is there and right


def test_a_wrong_download_never_gets_its_name(server, tmp_path):
    server.files["/file"] = CONTENT[::-1]
    with pytest.raises(ValueError, match="another checksum"):
        fetch(f"{server.address}/file", tmp_path / "file", MD5, progress=False)
    assert not list(tmp_path.iterdir())


def test_offline_the_message_says_what_to_do(tmp_path):
    with pytest.raises(ConnectionError, match=r"bring the file .* put it at"):
        fetch("http://127.0.0.1:9/file", tmp_path / "file", MD5, progress=False)


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@unpacks
@pytest.mark.parametrize("name", ["../escaped", "/escaped", "a/../../escaped"])
def test_no_member_leaves_the_folder(tmp_path, name):
    archive = tar(tmp_path / "a.tgz", {name: b"x"})
    folder = tmp_path / "inside"
    if name == "/escaped":  # taken as relative
        extract(archive, folder)
        assert (folder / "escaped").is_file()
    else:
        with pytest.raises(ValueError, match="leaves"):
            extract(archive, folder)
    assert not (tmp_path / "escaped").exists()


def test_an_archive_is_not_unpacked_by_a_python_that_cannot_do_it_safely(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with pytest.raises(RuntimeError, match=r"needs Python 3\.11\.4"):
        extract(tmp_path / "a.tar", tmp_path)


@unpacks
def test_a_damaged_archive_is_named(tmp_path):
    archive = tar(tmp_path / "a.tgz", {"a": CONTENT})
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"a\.tgz is damaged"):
        extract(archive, tmp_path)


def test_animal_parts_downloads_only_what_is_missing(server, tmp_path, monkeypatch):
    source, root = tmp_path / "source", tmp_path / "root"
    trees.animal(source, FOX, BOXES, HEADS, LEGS, version=5)
    trees.animal(source, FROG, BOXES, HEADS, LEGS, version=5)
    trees.negatives(source, 2)
    for repository in ("detanimalpart", "interpretableCNN"):
        entries = []
        for path in sorted(p for p in (source / repository).rglob("*") if p.is_file()):
            name, content = path.relative_to(source / repository).as_posix(), path.read_bytes()
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entries.append({"type": "blob", "path": name, "sha": blob})
            server.files[f"/{repository}/HEAD/{name}"] = content
        listing = json.dumps({"tree": entries}).encode()
        server.files[f"/{repository}/git/trees/HEAD?recursive=1"] = listing
    monkeypatch.setattr(animal_parts, "LISTINGS", server.address)
    monkeypatch.setattr(animal_parts, "FILES", server.address)
    got = AnimalParts(root, "fox", "all", negatives=True, download=True)
    wanted = AnimalParts(source, "fox", "all", negatives=True)
    assert (got.images == wanted.images).all()
    assert not any(FROG in path for path, _ in server.asked)
    (root / "interpretableCNN/data/neg/00001.JPEG").write_bytes(b"damaged")
    server.asked.clear()
    AnimalParts(root, "fox", negatives=True, download=True)
    got_again = [path for path, _ in server.asked if "git" not in path]
    assert got_again == ["/interpretableCNN/HEAD/data/neg/00001.JPEG"]


@unpacks
def test_cub_downloads_and_unpacks(server, tmp_path, monkeypatch):
    trees.birds(tmp_path / "source")
    with tarfile.open(tmp_path / "cub.tgz", "w:gz") as archive:
        archive.add(tmp_path / "source" / "CUB_200_2011", "CUB_200_2011")
    content = (tmp_path / "cub.tgz").read_bytes()
    server.files["/cub"] = content
    monkeypatch.setattr(cub, "URL", f"{server.address}/cub")
    monkeypatch.setattr(cub, "CHECKSUM", "md5:" + hashlib.md5(content).hexdigest())
    assert len(CUB200(tmp_path / "root", "all", size=16, download=True)) == 3


# The real ones ---------------------------------------------------------------------------------


def test_the_real_landmarks_are_those_of_the_published_table(photos):
    counts = {"fox": (286, 211, 143), "frog": (179, 168, 97), "sheep": (217, 159, 95)}
    for name, (images, heads, legs) in counts.items():
        animals = AnimalParts(photos, name, "all", size=32)
        assert len(animals) == images
        assert animals.landmarks.isfinite().all(-1).sum(0).tolist() == [heads, legs]
