"""The files around the package agree with each other, and hold nothing of one machine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import metadata, requires, version
from pathlib import Path

import pytest
import yaml
from lessons import NOTEBOOKS, lessons, with_table
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import icnn

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_TEXT = (ROOT / "requirements.lock").read_text(encoding="utf-8")
EVERYWHERE = {  # on any system, by Python from 3.11 to 3.13
    canonicalize_name(line.name): line
    for line in map(Requirement, re.findall(r"^(\w[^\\\n]*?) *\\?$", LOCK_TEXT, re.MULTILINE))
}
LOCK = {
    name: str(line.specifier).removeprefix("==")
    for name, line in EVERYWHERE.items()
    if not line.marker or line.marker.evaluate()
}
FOR_NVIDIA_CARDS = re.compile(r"^(cuda|nvidia|triton)\b")
LOCKED_FOR = {"python_version": "3.11", "python_full_version": "3.11.0"}  # newer ones need less
MACHINE_PATH = re.compile(r"/(?:work|tmp|farm|root|home|Users)/[A-Za-z]")
REGISTRIES = ("pypi", "pythonhosted", "npmjs", "anaconda", "download.pytorch")


@pytest.fixture(scope="module")
def tracked_texts(git) -> dict[str, str]:
    texts = {}
    for name in filter(None, git("ls-files", "-z").split("\0")):
        try:
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a binary file, or one that is being deleted
    return texts


def declared() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    lists = [PROJECT["dependencies"], *extras]
    return [Requirement(text) for requirements in lists for text in requirements]


def needed(requirements: list[Requirement]) -> set[str]:
    """The names of everything that the requirements bring along on the Python of the lock."""
    names: set[str] = set()
    todo = [(requirement, "") for requirement in requirements]
    seen = set()
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra, **LOCKED_FOR}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen and not FOR_NVIDIA_CARDS.match(name):
                seen.add((name, wanted))
                names.add(name)
                todo += [(Requirement(text), wanted) for text in requires(name) or []]
    return names


def test_the_lock_pins_each_package_once_with_checksums_and_no_address() -> None:
    blocks = re.split(r"^(?=\w)", LOCK_TEXT, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(EVERYWHERE)
    assert all(
        re.search(r"^    --hash=sha256:[0-9a-f]{64}", block, re.MULTILINE) for block in blocks
    )
    assert "://" not in LOCK_TEXT


@pytest.mark.parametrize("system", ["linux", "darwin", "win32"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_is_for_every_system(system, python) -> None:
    here = {"sys_platform": system, "os_name": "nt" if system == "win32" else "posix"}
    here |= {"python_version": python, "python_full_version": f"{python}.0"}
    found = {n for n, line in EVERYWHERE.items() if not line.marker or line.marker.evaluate(here)}
    nvidia = set(filter(FOR_NVIDIA_CARDS.match, found))
    assert bool(nvidia) == (system == "linux")
    assert {"torch", "jupyterlab", "pytest"} <= found


def test_the_lock_pins_all_that_the_project_asks_for_and_no_more() -> None:
    pinned = {name for name in LOCK if not FOR_NVIDIA_CARDS.match(name)}
    assert pinned == needed(declared())


def test_the_lock_satisfies_what_the_project_asks_for() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for requirement in [*declared(), *map(Requirement, build)]:
        assert requirement.specifier.contains(LOCK[canonicalize_name(requirement.name)])


def test_the_page_on_installing_names_the_pinned_torch() -> None:
    text = " ".join((ROOT / "docs" / "installing.md").read_text(encoding="utf-8").split())
    torch, torchvision = LOCK["torch"], LOCK["torchvision"]
    assert f"`torch=={torch}` and `torchvision=={torchvision}`" in text
    assert f", torch {torch} and torchvision {torchvision} on Linux." in text


def test_the_installed_versions_are_the_pinned_ones() -> None:
    names = [name for name in LOCK if not FOR_NVIDIA_CARDS.match(name)]  # not with a CPU build
    assert {name: version(name).split("+")[0] for name in names} == {n: LOCK[n] for n in names}


def test_the_pinned_versions_are_for_every_python_that_the_project_is_for() -> None:
    lowest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    for name in filter(lambda name: not FOR_NVIDIA_CARDS.match(name), LOCK):
        allowed = SpecifierSet(metadata(name)["Requires-Python"] or "")
        assert allowed.contains(lowest), f"{name} needs Python {allowed}"


def test_conda_users_get_the_same_environment() -> None:
    file = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    *conda, pip = file["dependencies"]
    assert conda == ["python=3.11", "pip"]
    assert pip == {"pip": ["-r requirements.lock"]}  # an editable package has no checksum
    assert PROJECT["requires-python"] == ">=3.11"


def test_one_version_number_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert icnn.__version__ == PROJECT["version"] == str(citation["version"])
    assert re.search(r"^## ([\d.]+)", changes, re.MULTILINE).group(1) == icnn.__version__


def test_the_citation_has_what_the_format_requires() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["license"] == PROJECT["license"]


def test_ruff_is_the_pinned_one() -> None:
    command = [sys.executable, "-m", "ruff", "--version"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found.split() == ["ruff", LOCK["ruff"]]


def test_importing_the_package_is_cheap() -> None:
    code = "import icnn, sys; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "icnn" in loaded
    assert not {"torch", "torchvision", "matplotlib", "ipywidgets", "IPython"} & set(loaded)


def test_no_file_names_a_place_on_one_machine(tracked_texts) -> None:
    for name, text in tracked_texts.items():
        text = re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)  # pictures in notebooks
        assert not MACHINE_PATH.findall(text), name


def test_no_file_names_a_package_registry(tracked_texts) -> None:
    hosts = re.compile(rf"\b({'|'.join(map(re.escape, REGISTRIES))})\.(org|com)\b")
    for name, text in tracked_texts.items():
        assert not hosts.findall(text), name


def test_every_make_target_is_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE).group(1).split()
    explained = re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE)
    assert sorted(targets) == sorted(explained)
    scripts = re.findall(r"(?:tools|tests)/\w+\.py", makefile)
    assert scripts and all((ROOT / script).is_file() for script in scripts)


def test_the_hosted_tests_run_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert script.read_text(encoding="utf-8").splitlines()[-1] == "make test"
    assert "run: make test" in (ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8")


def test_the_readme_has_the_table_of_the_registry() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert with_table(readme) == readme and all(lesson.row() in readme for lesson in lessons())


@pytest.mark.parametrize("name", [*icnn.__all__, *icnn.data._HOME])
def test_every_name_says_in_which_lesson_it_is_taught(name) -> None:
    thing = getattr(icnn, name, None) or getattr(icnn.data, name)
    assert re.search(r"[Ll]essons?\s+\d|notebooks/exercises", thing.__doc__ or "")


@pytest.mark.parametrize("name", [*icnn.__all__, *icnn.data.__all__])
def test_the_lesson_that_is_said_to_teach_a_name_has_it(name) -> None:
    thing = getattr(icnn, name, None) or getattr(icnn.data, name)
    told = re.search(
        r"(?:Taught|Introduced)\s+in\s+lessons?\s+(\d+)(?:\s+and\s+(\d+))?", thing.__doc__ or ""
    )
    for number in filter(None, told.groups() if told and callable(thing) else ()):
        lesson = lessons()[int(number)]
        assert name in (NOTEBOOKS / f"{lesson.file}.ipynb").read_text(encoding="utf-8")


def test_every_finding_has_its_row_and_its_version() -> None:
    scripts = {path.stem for path in (ROOT / "findings").glob("*.sh")}
    rows = re.findall(
        r"^\| \[(\w+)\]\((\w+)\.sh\) \|", (ROOT / "findings/README.md").read_text(), re.MULTILINE
    )
    assert sorted(rows) == sorted((name, name) for name in scripts)
    told = (ROOT / "docs/surprises.md").read_text(encoding="utf-8")
    assert [name for name in scripts if f"`{name}`" not in told] == []
