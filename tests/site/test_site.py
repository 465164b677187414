"""The static site: links, headings, texts for pictures, and what a browser and axe say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import make_site
import pytest
from website import reference
from website.equations import EQUATIONS
from website.text import anchor, markdown

import icnn

PAGES = sorted({*make_site.plan().values(), "reference.html", "times.html"})
WIDTHS = {"phone": 390, "desk": 1280, "zoomed": 320}  # the last is a desk at 400 %
STUCK = """[...document.querySelectorAll('pre, .wide, .long')]
    .filter(it => it.tabIndex < 0 && it.scrollWidth > it.clientWidth + 1)
    .map(it => it.outerHTML.slice(0, 150))"""


class Page(HTMLParser):
    """What the checks need of one page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = path.read_text("utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))

    def named(self, *names: str) -> list[dict]:
        return [attributes for tag, attributes in self.tags if tag in names]

    @property
    def ids(self) -> list[str]:
        return [attributes["id"] for _, attributes in self.tags if "id" in attributes]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    make_site.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


def test_all_pages_are_there(pages) -> None:
    assert sorted(pages) == PAGES
    assert len([name for name in pages if name.startswith("lessons/")]) >= 12


@pytest.mark.parametrize("name", PAGES)
def test_headings_are_in_order_and_one_is_first(pages, name) -> None:
    levels = [int(tag[1]) for tag, _ in pages[name].tags if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("name", PAGES)
def test_pictures_have_texts_and_tables_have_headers(pages, name) -> None:
    page = pages[name]
    assert all(len(image.get("alt", "")) > 3 for image in page.named("img"))
    for table in re.findall(r"<table.*?</table>", page.text, re.S):
        assert "<th" in table, table[:200]


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(pages, name) -> None:
    page = pages[name]
    loaded = [a.get("src") or a.get("href") for a in page.named("img", "link", "script", "iframe")]
    assert not page.named("script", "iframe")
    assert not [url for url in loaded if urlsplit(url).scheme not in ("", "data")]


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(site, pages, name) -> None:
    page, here = pages[name], (site / name).parent
    assert len(page.ids) == len(set(page.ids)), "an id twice"
    for url in [a["href"] for a in page.named("a", "link") if "href" in a] + [
        image["src"] for image in page.named("img")
    ]:
        parts = urlsplit(url)
        if parts.scheme in ("https", "data"):
            continue
        target = (here / unquote(parts.path)).resolve() if parts.path else site / name
        assert target.is_file(), url
        if parts.fragment:
            there = pages[target.relative_to(site.resolve()).as_posix()]
            assert unquote(parts.fragment) in there.ids, url


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_set(pages, name) -> None:
    text = re.sub(r"<(pre|code|math).*?</\1>|<[^>]+>", "", pages[name].text, flags=re.S)
    assert "$" not in text and "\\frac" not in text
    formulas = re.findall(r"<math.*?</math>", pages[name].text, re.S)
    assert not [it for it in formulas if "merror" in it or "\\" in it or ">langle<" in it]


def test_no_solution_and_no_hidden_test_is_there(pages) -> None:
    guide = "docs/teachers_guide.html"  # shows what the marks look like
    text = "".join(page.text for name, page in pages.items() if name != guide)
    assert "BEGIN SOLUTION" not in text and "HIDDEN TESTS" not in text
    assert "concept_test_answers" not in text


def test_the_reference_has_every_public_name(pages) -> None:
    ids = pages["reference.html"].ids
    for name, module in reference.modules():
        assert name in ids
        assert all(f"{name}.{member}" in ids for member, _ in reference.members(module))
    assert {name.rsplit(".", 1)[1] for name in ids if name.startswith("icnn.")} >= set(EQUATIONS)
    assert all(f"icnn.check.{name}" in ids for name in icnn.check.__all__)
    assert pages["reference.html"].text.count("<math") >= len(EQUATIONS)


def test_chinese_words_say_that_they_are_chinese(pages) -> None:
    for name, page in pages.items():
        if name.endswith("_zh_hant.html"):
            assert page.named("html")[0]["lang"] == "zh-Hant"
            continue
        marked = r'<title.*?</title>|<span lang="zh-Hant">.*?</span>|<[^>]+>'
        text = re.sub(marked, "", page.text)
        assert not re.search(r"[\u4e00-\u9fff]", text), name


def test_lessons_lead_to_those_beside_them_and_to_their_notebook(site, pages) -> None:
    def beside(name: str) -> list[str]:
        footer = pages[f"lessons/{name}.html"].text.split("<footer")[1]
        return re.findall(r'href="(\w+)\.html"', footer)

    assert beside("01_templates") == ["00_start_here", "02_mutual_information"]
    assert beside("00_start_here_zh_hant") == beside("00_start_here") == ["01_templates"]
    for name in pages:
        if re.match(r"(lessons|exercises)/\d", name):
            (link,) = [a["href"] for a in pages[name].named("a") if "download" in a]
            assert (site / name).parent.joinpath(link).suffix == ".ipynb"
            assert 'aria-current="true"' in pages[name].text


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("important")
    with pytest.raises(SystemExit, match="not overwritten"):
        make_site.build(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "important"


def test_anchors_are_those_of_github() -> None:
    assert anchor("What *you* see, 1 · 2") == "what-you-see-1--2"
    text = markdown("# A\n\n## B\n\n## B\n", str)
    assert 'id="b"' in text and 'id="b-1"' in text


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WIDTHS)
def browser_page(chromium, request) -> Iterator:
    page = chromium.new_page(viewport={"width": WIDTHS[request.param], "height": 800})
    page.problems, page.asked = [], []
    page.on("console", lambda it: it.type in ("error", "warning") and page.problems.append(it.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda it: page.asked.append(it.url))
    yield page
    page.close()


@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_the_screen_and_axe_finds_nothing(site, browser_page, name) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser_page
    page.problems.clear()
    page.goto((site / name).as_uri())
    assert page.problems == []
    assert {urlsplit(url).scheme for url in page.asked} <= {"file", "data"}
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wide <= 0, f"{wide} pixels wider than the screen"
    assert page.evaluate(STUCK) == []  # what one must scroll, the keyboard reaches
    found = Axe().run(page).response["violations"]  # of any impact, advice included
    assert {v["id"]: [node["html"][:150] for node in v["nodes"]][:3] for v in found} == {}
