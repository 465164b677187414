"""The static site: links, headings, texts for pictures, and what a browser and axe say of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import make_site
import module_pages
import pytest
from chinese_search import Pairs
from formulas import mathml
from sphinx.cmd.build import build_main

import icnn

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)
SHOWN_BOOKS = sorted(
    path.relative_to(make_site.ROOT).with_suffix(".html").as_posix()
    for pattern in ("notebooks/*.ipynb", "notebooks/exercises/release/*.ipynb")
    for path in make_site.ROOT.glob(pattern)
)


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
    assert set(SHOWN_BOOKS) <= set(pages)
    assert {f"reference/{name}.html" for name in module_pages.modules()} <= set(pages)
    assert {"index.html", "GLOSSARY.html", "times.html", "docs/teachers_guide.html"} <= set(pages)


def test_headings_are_in_order_and_one_is_first(pages) -> None:
    for name, page in pages.items():
        levels = [int(it) for it in re.findall("<h([1-6])", page.text.split("<article")[-1])]
        assert levels.count(1) == 1 and levels[0] == 1, name
        assert all(after <= before + 1 for before, after in pairwise(levels)), name


def test_pictures_have_texts_and_tables_have_headers(pages) -> None:
    for name, page in pages.items():
        assert all(len(image.get("alt", "")) > 3 for image in page.named("img")), name
        for table in re.findall(r"<table.*?</table>", page.text, re.S):
            assert "<th" in table or "indextable" in table, (name, table[:200])


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site, pages) -> None:
    for name, page in pages.items():
        assert len(page.ids) == len(set(page.ids)), f"an id twice in {name}"
        loaded = [a.get("src", "") for a in page.named("img", "script", "iframe")]
        loaded += [a["href"] for a in page.named("link")]
        links = [a["href"] for a in page.named("a") if a.get("href", "").split(":")[0] != "https"]
        for url in loaded + links:
            parts = urlsplit(url)
            assert parts.scheme in ("", "data"), (name, url)
            target = site / name
            if parts.path and not parts.scheme:
                target = (target.parent / unquote(parts.path)).resolve()
                assert target.is_file(), (name, url)
            if parts.fragment and url in links:
                there = pages[target.relative_to(site.resolve()).as_posix()] if parts.path else page
                assert unquote(parts.fragment) in there.ids, (name, url)


def test_formulas_are_set(pages) -> None:
    for name, page in pages.items():
        text = re.sub(r"<(script|pre|code|math|title).*?</\1>|<[^>]+>", "", page.text, flags=re.S)
        assert "$" not in text and "\\frac" not in text, name
        for formula in re.findall(r"<math.*?</math>", page.text, re.S):
            ElementTree.fromstring(formula)
    assert pages["notebooks/02_mutual_information.html"].text.count("<math") > 90


@pytest.mark.parametrize(
    "latex",
    [
        r"\begin{aligned} a &= b \\ c &= d \end{aligned}",
        r"a & b",
        r"\text{this & that}",
        r"50% of x",
        r"\unknown x",
        r"\mathscr L",
        r"\frac{a}{b",
        r"a_b_c",
        r"\left( a",
        r"a \\ b",
        "",
    ],
)
def test_a_formula_that_cannot_be_set_is_an_error(latex) -> None:
    with pytest.raises(Exception):  # noqa: B017 (latex2mathml has many kinds)
        mathml(latex, "inline")


def test_what_can_be_set_is() -> None:
    for latex in (r"50\% \mathcal L", r"\boxed{a}", r"\Big\langle x \Big\rangle", r"\{ \ln x \}"):
        ElementTree.fromstring(mathml(latex, "block"))
    assert "ℒ" in ElementTree.fromstring(mathml(r"\mathcal L", "inline")).itertext()


def test_a_broken_formula_stops_the_build_and_names_its_page(tmp_path, capsys) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text("# Title\n\nTwo halves: $\\half$.\n")
    use = "extensions = ['myst_nb', 'formulas']; myst_enable_extensions = ['dollarmath']"
    (source / "conf.py").write_text(use)
    assert build_main(["-q", "-W", str(source), str(tmp_path / "out")])
    assert re.search(r"index\.md:.*half", capsys.readouterr().err)


def test_no_solution_and_no_hidden_test_is_there(site) -> None:
    for path in site.rglob("*"):
        if path.is_file() and path.stem != "teachers_guide":  # shows what the marks look like
            text = path.read_bytes()
            assert b"BEGIN SOLUTION" not in text and b"HIDDEN TESTS" not in text, path
            assert "concept_test_answers" not in path.name


def test_the_reference_has_every_public_name(pages) -> None:
    ids = {name for page in pages.values() for name in page.ids}
    names = {f"icnn.{module}.{name}" for name, module in icnn._MODULE_OF.items()}
    names |= {f"icnn.course.check.{name}" for name in icnn.check.__all__}
    assert names <= ids
    assert {name for name in icnn._MODULE_OF if name in module_pages.EQUATIONS} == set(
        module_pages.EQUATIONS
    )
    for name in module_pages.EQUATIONS:
        page = pages[f"reference/icnn.{icnn._MODULE_OF[name]}.html"].text
        assert "<math" in page.split(f'id="icnn.{icnn._MODULE_OF[name]}.{name}"')[1][:9000], name


def test_chinese_words_say_that_they_are_chinese(pages) -> None:
    for name, page in pages.items():
        if name.endswith("_zh_hant.html"):
            assert page.named("html")[0]["lang"] == "zh-Hant"
            continue
        marked = r'<(title|script).*?</\1>|<span lang="zh-Hant">.*?</span>|<[^>]+>'
        assert not re.search(r"[\u4e00-\u9fff]", re.sub(marked, "", page.text, flags=re.S)), name


def test_lessons_lead_to_those_beside_them_and_to_their_notebook(site, pages) -> None:
    text = pages["notebooks/01_templates.html"].text
    assert 'class="left-prev"' in text and 'href="02_mutual_information.html"' in text
    for name in SHOWN_BOOKS:
        source = f"_sources/{name.removesuffix('.html')}.ipynb"
        assert source in pages[name].text
        original = make_site.ROOT / name.replace(".html", ".ipynb")
        assert (site / source).read_bytes() == original.read_bytes()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("important")
    with pytest.raises(SystemExit, match="not overwritten"):
        make_site.build(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "important"


def test_chinese_is_searched_by_pairs() -> None:
    assert Pairs({}).split("互資訊 and masks, 濾") == ["互資", "資訊", "and", "masks", "濾"]


# --- in a browser --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser_page(chromium) -> Iterator:
    page = chromium.new_page()
    page.problems, page.asked = [], []
    page.on("console", lambda it: it.type in ("error", "warning") and page.problems.append(it.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("request", lambda it: page.asked.append(it.url))
    yield page
    page.close()


def all_pages() -> list[str]:
    """As the site has them, without building it."""
    names = [*module_pages.modules(), "index"]
    texts = ["index", "GLOSSARY", "CHANGELOG", "CONTRIBUTING", "times", "search"]
    texts += ["notebooks/exercises/README"] + [f"reference/{name}" for name in names]
    texts += [
        path.relative_to(make_site.ROOT).with_suffix("").as_posix()
        for pattern in ("docs/*.md", "data/**/*.md")
        for path in make_site.ROOT.glob(pattern)
        if path.name != make_site.FOR_TEACHERS
    ]
    return sorted([f"{name}.html" for name in texts] + SHOWN_BOOKS)


def test_the_list_of_pages_is_whole(pages) -> None:
    assert sorted(pages) == all_pages()


def faults(violations: list[dict]) -> dict[str, list[str]]:
    """Where axe found what. Axe 4.12 takes a header of a formula alone for empty."""
    found = {it["id"]: [node["html"][:150] for node in it["nodes"]] for it in violations}
    headers = [it for it in found.pop("empty-table-header", []) if "<math" not in it]
    return found | ({"empty-table-header": headers} if headers else {})


def unseen(unsure: list[dict]) -> list[str]:
    """Text in the colour of what is behind it, of which axe says that it may be meant to be so."""
    nodes = [node for it in unsure if it["id"] == "color-contrast" for node in it["nodes"]]
    keys = [(node["any"][0]["data"] or {}).get("messageKey") for node in nodes]
    return [n["html"][:150] for n, key in zip(nodes, keys, strict=True) if key == "equalRatio"]


@pytest.mark.parametrize("name", all_pages())
def test_pages_fit_the_screen_and_axe_finds_nothing(site, browser_page, name) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser_page
    # The colours of code and formulas are the same everywhere, and looking at each letter is slow.
    seen = None if "/1_templates" in name else {"exclude": [[".highlight pre > *"], ["math > *"]]}
    colours = {"runOnly": ["color-contrast", "link-in-text-block"]}  # the rest is the same
    for scheme, widths, rules in (("light", (1280, 320), {}), ("dark", (390,), colours)):
        page.problems.clear()
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": widths[0], "height": 800})
        page.goto((site / name).as_uri())
        assert page.problems == []
        assert {urlsplit(url).scheme for url in page.asked} <= {"file", "data"}
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        # Colours fade from those of the other scheme.
        page.evaluate("Promise.all(document.getAnimations().map(it => it.finished))")
        kinds = {"resultTypes": ["violations", "incomplete"]}
        found = Axe().run(page, seen, kinds | rules).response
        assert faults(found["violations"]) == {}
        assert unseen(found["incomplete"]) == []
        for width in widths:  # 320 is a desk at 400 %
            page.set_viewport_size({"width": width, "height": 800})
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, f"{wide} pixels wider than a screen of {width}"


@pytest.mark.parametrize(
    ("words", "where"), [("互資訊", "GLOSSARY"), ("location instability", "icnn.measure")]
)
def test_the_search_finds_words_in_a_page_opened_as_a_file(site, browser_page, words, where):
    browser_page.goto(f"{(site / 'search.html').as_uri()}?q={words}")
    browser_page.wait_for_selector("#search-results li a")
    found = browser_page.eval_on_selector_all("#search-results li a", "all => all.map(a => a.href)")
    assert any(where in url for url in found)
