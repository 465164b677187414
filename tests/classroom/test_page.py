"""The page that a student gets, as Chromium shows it: readable, with all pictures, and inert."""

from __future__ import annotations

import sys
from base64 import b64decode, b64encode

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from submissions import ONE, ROOT

sys.path.insert(0, str(ROOT / "classroom"))
from grading import execute, mend
from grading.page import page

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Erk"
    "Jggg=="
)
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='hacked()'><script>hacked()</script></svg>"


@pytest.fixture
def look(chromium, tmp_path):
    """Shows a notebook's page; returns Chromium's page, which notes all that it asks for."""
    opened = []

    def show(notebook, width: int = 1000):
        html, difficult = page(notebook, student="Ana", name=ONE)
        path = tmp_path / "page.html"
        path.write_text(html, encoding="utf-8")
        context = chromium.new_context(viewport={"width": width, "height": 800})
        opened.append(context)
        shown = context.new_page()
        shown.asked, shown.difficult = [], difficult
        shown.on("request", lambda request: shown.asked.append(request.url))
        shown.on("dialog", lambda dialog: shown.asked.append(dialog.message))
        shown.goto(path.as_uri())
        return shown

    yield show
    for context in opened:
        context.close()


def text_cell(text: str, **attachments: str):
    pictures = {name: {"image/png": data} for name, data in attachments.items()}
    return new_markdown_cell(text, attachments=pictures) if pictures else new_markdown_cell(text)


def visible(shown) -> str:
    return shown.locator("main").inner_text()


@pytest.mark.parametrize("width", [390, 1000])
def test_a_page_reads_like_a_lesson(look, width) -> None:
    notebook = nbformat.read(ROOT / "notebooks" / "exercises" / "source" / f"{ONE}.ipynb", 4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            execute.as_picture(output) if "data" in output else None
        if (mark := cell.metadata.get("nbgrader")) and mark.grade:
            mark["score"] = mark.points / 2
    shown = look(notebook, width)
    shown.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    words = visible(shown)
    prose = shown.evaluate(
        "[...document.querySelectorAll('main p, main li, main td, main h2')].map(e => e.innerText)"
    )
    assert not [text for text in prose if "$" in text or "**" in text]
    tags = ["<p>", "<h2", "<details", "<summary", "<img", "base64", "\\frac", "&lt;"]
    assert not [tag for tag in tags if tag in words]
    sums = {"math": 40, "h2": 5, "details": 12, "p": 35, "img": 2, "table": 6, "section": 9}
    for tag, least in sums.items():
        assert shown.locator(f"main {tag}").count() >= least, tag
    seen = "[...document.images].every(i => i.naturalWidth > 100 && i.alt.length > 30)"
    assert shown.evaluate(seen)
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    names = "[...document.querySelectorAll('td:first-child strong')]"
    lines = "e.getClientRects().length <= e.innerText.split(' ').length"
    assert shown.evaluate(f"{names}.every(e => {lines})"), "a word is broken"
    assert "1 of 2 points" in words and "Hint 1: a nudge" in words
    assert shown.asked[1:] == [] and shown.difficult == []


NASTY = [
    "<script>hacked()</script>",
    "<img src=x onerror=hacked()>",
    "<b onclick=hacked() onmouseover=hacked()>press</b>",
    "[press](javascript:hacked())",
    "[press](JaVaScript&#58;hacked()) [and](data:text/html,<script>hacked()</script>)",
    "<a href=' javascript:hacked()'>press</a> <a href='vbscript:hacked()'>press</a>",
    "<iframe src=http://foreign.test/a></iframe><object data=http://foreign.test/b></object>",
    "<embed src=http://foreign.test/c><video src=http://foreign.test/d autoplay></video>",
    "![x](http://foreign.test/e.png) <img src=//foreign.test/f.png srcset=http://foreign.test/g>",
    "<style>@import url(http://foreign.test/h); body { display: none }</style>",
    "<div style='background: url(http://foreign.test/i); position: fixed; inset: 0'>over</div>",
    "<link rel=stylesheet href=http://foreign.test/j><base href=http://foreign.test/>",
    "<meta http-equiv=refresh content='0; url=http://foreign.test/k'>",
    "<form action=http://foreign.test/l><button autofocus onfocus=hacked()>press</button></form>",
    SVG,
    "<math><mtext href='javascript:hacked()'><img src=x onerror=hacked()></mtext></math>",
    r"$\href{javascript:hacked()}{x}$ $\text{<img src=x onerror=hacked()>}$",
    '![<script>hacked()</script>](x"onerror=hacked())',
    '<details open ontoggle=hacked()><summary>press</summary>"><script>hacked()</script></details>',
    "<noscript><p title='</noscript><img src=x onerror=hacked()>'></noscript>",
    "```\n</code></pre><script>hacked()</script>\n```",
    "<plaintext> <xmp> <template> <select> <textarea> <title>",
]


def test_what_students_write_runs_nothing_and_asks_for_nothing(look) -> None:
    cells = [text_cell(f"before\n\n{text}\n\nafter {i}") for i, text in enumerate(NASTY)]
    kinds = [{"text/html": text} for text in NASTY] + [{"image/svg+xml": SVG}]
    kinds += [{"application/javascript": "hacked()"}, {"text/latex": NASTY[16]}]
    outputs = [new_output("display_data", {"text/plain": "plain", **kind}) for kind in kinds]
    outputs.append(new_output("stream", name="stdout", text="<script>hacked()</script>\x1b[31mred"))
    cells.append(new_code_cell("'</pre><script>hacked()</script>'", outputs=outputs))
    cells[0].metadata.nbgrader = {"solution": True, "grade_id": "<b>", "comment": NASTY[0]}
    shown = look(new_notebook(cells=cells))
    press = "for (const part of document.querySelectorAll('main a, main b, summary')) part.click()"
    shown.evaluate(f"window.hacked = () => window.done = 1; {press}")
    assert shown.evaluate("window.done") is None and shown.asked[1:] == []
    words = visible(shown)
    assert all(f"after {i}" in words for i in range(len(NASTY)))
    html, _ = page(new_notebook(cells=cells), student="Ana", name=ONE)
    assert "<script" not in html and "default-src 'none'" in html  # both of two fences


@pytest.mark.parametrize(
    "name", ["a.png", "a b (1).png", "Bild ä 圖.png", "100%.png", "a%20b.png", "image.png"]
)
def test_pictures_are_found_under_any_name(look, name) -> None:
    from urllib.parse import quote

    for address in (name, f"<{name}>", quote(name)):
        text = f"before ![a spot](attachment:{address.replace('<', '<attachment:', 1)})"
        text = text.replace("attachment:<attachment:", "<attachment:")
        raw = {"cell_type": "markdown", "source": text, "attachments": {name: {"image/png": DOT}}}
        cell = mend.read_cell(raw)
        other = mend.read_cell({**raw, "attachments": {name: {"image/png": [DOT[:9], DOT[9:]]}}})
        notebook = new_notebook(cells=[mend.added(cell), mend.added(other)])
        shown = look(notebook)
        assert shown.evaluate("[...document.images].filter(i => i.naturalWidth == 1).length") == 2


@pytest.mark.parametrize(
    "address",
    [
        *("attachment:none.png", "attachment:no%20ne.png", "<attachment:not here.png>"),
        *(
            "plot.png",
            "my%20plot.png",
            "../x/plot.png",
            "/usr/share/x/plot.png",
            "file:///x/plot.png",
        ),
        *("http://foreign.test/plot.png", "C:\\x\\plot.png", "", "data:text/html;base64,AAAA"),
    ],
)
def test_a_picture_that_is_missing_leaves_a_note(look, address) -> None:
    for text in (f"before ![a spot]({address}) after", f"before <img src='{address}'> after"):
        cell = mend.read_cell({"cell_type": "markdown", "source": text, "attachments": None})
        shown = look(new_notebook(cells=[mend.added(cell)]))
        words = visible(shown)
        assert "The picture" in words and "is not in the notebook" in words and "after" in words
        assert shown.asked[1:] == []


def test_a_picture_that_was_pasted_as_an_address_is_a_picture(look) -> None:
    data = b64encode(b64decode(DOT) + bytes(45_000)).decode()
    for text in (
        f"see ![a spot](data:image/png;base64,{data})",
        f"<img src='data:image/png;base64,{data}'>",
    ):
        shown = look(new_notebook(cells=[text_cell(text + " after")]))
        assert shown.evaluate("document.images[0].naturalWidth") == 1
        assert "after" in visible(shown) and "base64" not in visible(shown)
        assert shown.difficult == []


def test_pictures_of_every_kind_are_shown_among_the_outputs(look) -> None:
    kinds = ("image/png", "image/jpeg", "image/webp", "image/gif")  # Chromium looks at the bytes
    outputs = [new_output("display_data", {kind: DOT, "text/plain": "dot"}) for kind in kinds]
    shown = look(new_notebook(cells=[new_code_cell("", outputs=outputs)]))
    assert shown.evaluate("[...document.images].filter(i => i.naturalWidth == 1).length") == 4


def test_a_header_stands_over_its_column(look) -> None:
    shown = look(new_notebook(cells=[text_cell("| | a |\n|---|---|\n| x | 1 |")]))
    left = "document.querySelector('{} tr > :last-child').getBoundingClientRect().x"
    assert shown.evaluate(left.format("main thead")) == shown.evaluate(left.format("main tbody"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (r"$$\begin{aligned} a &= b \\ c &= d \end{aligned}$$", "mtable mtr + mtr"),
        (r"$$\begin{split} a &= b \\ c &= d \end{split}$$", "mtable mtr + mtr"),
        (r"$$x \label{eq:x}$$", "math:not(:has(mi + mi))"),
        ("| a | b |\n|---|---|\n| $|x|$ | $\\|y\\| \\le p(a|b)$ |", "td + td math"),
        ("- [x] done\n- [ ] to do", "li + li"),
    ],
)
def test_what_people_write_in_markdown_is_set(look, text, wanted) -> None:
    shown = look(new_notebook(cells=[text_cell(text)]))
    assert shown.locator(f"main :is({wanted})").count() == 1
    words = visible(shown)
    assert not any(sign in words for sign in ("\\", "<input", "|--", "$"))


COMPARED = (
    *("a<b and c>d", "s<p\nand q>r", "x<sub or y>z", "a<i, j>b", "if x<y and y>z then"),
    *("Dict<str, int> of List<int>", "<b and c>", "a<b and **c**>d and e<s or f>g"),
)


@pytest.mark.parametrize("text", COMPARED)
def test_a_comparison_is_no_tag(look, text) -> None:
    tags = "and <B>this</B> <br> is <!-- not --> one"
    shown = look(new_notebook(cells=[text_cell(f"{text} {tags}")]))
    wanted = text.replace("**", "").replace("\n", " ")
    assert visible(shown).replace("\n", " ").split() == f"{wanted} and this is one".split()


def test_a_cell_that_cannot_be_set_is_shown_as_it_is_written(look) -> None:
    cells = [text_cell(t) for t in (">" * 5000 + "deep", "[" * 60_000, "<div>" * 3000 + "divs")]
    cells += [
        text_cell(r"$\frac{1}{$ and $$\begin{x}$$ and \begin{align}a&b\end{align}"),
        text_cell("last"),
    ]
    shown = look(new_notebook(cells=cells))
    words = visible(shown)
    assert all(word in words for word in ("deep", "[[[[", "divs", "\\frac{1}{", "last"))
    assert len(shown.difficult) >= 1
