"""Markdown to html that needs no script: formulas become MathML, tables get headers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import mistune
from latex2mathml.converter import convert

PLUGINS = ["table", "math", "strikethrough", "url"]
FITS = 28  # letters of code or LaTeX that fit a telephone's width; longer lines can be scrolled
CHINESE = re.compile(r"[\u4e00-\u9fff]+")
# As mistune's own, but a formula in a sentence may go on in the next line.
FORMULA = r"\$\$(?P<display>[^$]+)\$\$|\$(?!\s)(?P<inline>[^$`]+?)(?<!\s)\$(?!\d)"

# What latex2mathml does not know or sets badly, and a way to say it.
KNOWN = {
    r"(?<![\\{A-Za-z])MI(?![A-Za-z])": r"\\mathrm{MI}",
    r"\\[lr]Vert": r"\\|",
    r"\\arg(?![a-z])": r"\\operatorname{arg}",
    r"\\(ln|log)(?![a-z])": r"\\,\\\1\\,",
    r"\\Big(?=\\langle)": r"\\left",
    r"\\Big(?=\\rangle)": r"\\right",
    r"\\text\{([^{}]*)\\textbf\{([^{}]*)\}([^{}]*)\}": r"\\text{\1}\\textbf{\2}\\text{\3}",
}


class Renderer(mistune.HTMLRenderer):
    """As GitHub shows it, with links that lead to pages."""

    def __init__(self, link: Callable[[str], str], language: str) -> None:
        super().__init__(escape=False)
        self.resolve, self.language = link, language
        self.anchors: dict[str, int] = {}

    def text(self, text: str) -> str:
        text = super().text(text)
        return text if self.language.startswith("zh") else mark_chinese(text)

    def heading(self, text: str, level: int, **_) -> str:
        slug = anchor(text)
        count = self.anchors[slug] = self.anchors.get(slug, -1) + 1
        name = f"{slug}-{count}" if count else slug
        return f'<h{level} id="{name}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return f'<a href="{self.resolve(url)}">{text}</a>'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        source = url if url.startswith("data:") else self.resolve(url)
        return f'<img alt="{mistune.escape(text)}" src="{source}">'

    def block_code(self, code: str, info: str | None = None) -> str:
        return f"<pre{reachable(code)}><code>{mistune.escape(code)}</code></pre>\n"

    def inline_math(self, text: str) -> str:
        formula = mathml(text, "inline")
        fits = len(text) < FITS
        return formula if fits else f'<span class="long" tabindex="0">{formula}</span>'

    def block_math(self, text: str) -> str:
        return f'<span class="wide" tabindex="0">{mathml(text, "block")}</span>\n'

    def table(self, text: str) -> str:
        if "<thead>" not in text:  # a card: what each row is about stands in its first cell
            text = re.sub(r"<tr>\s*<td(.*?)</td>", r'<tr><th scope="row"\1</th>', text, flags=re.S)
        return f'<div class="wide" tabindex="0"><table>{text}</table></div>\n'

    def table_head(self, text: str) -> str:
        empty = not re.sub(r"<[^>]+>", "", text).strip()
        return "" if empty else f"<thead><tr>{text}</tr></thead>"

    def table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:
        side = f' class="{align}"' if align else ""
        if head and text:
            return f'<th scope="col"{side}>{text}</th>'
        return f"<td{side}>{text}</td>"


def markdown(text: str, link: Callable[[str], str], language: str = "en") -> str:
    """Html of a text; `link` turns each address in it into one of the site."""
    parser = mistune.create_markdown(renderer=Renderer(link, language), plugins=PLUGINS)
    parser.inline.register("inline_math", FORMULA, _formula, before="link")
    return parser(text)


def _formula(_, match: re.Match, state: mistune.InlineState) -> int:
    kind = "inline_math" if match["inline"] else "block_math"
    state.append_token({"type": kind, "raw": match["inline"] or match["display"]})
    return match.end()


def mathml(latex: str, display: str) -> str:
    """A formula as browsers can set it by themselves."""
    latex = " ".join(latex.split())
    for unknown, known in KNOWN.items():
        latex = re.sub(unknown, known, latex)
    upright = re.compile(r'(?:<mi mathvariant="normal">\w</mi>){2,}')  # one word, not letters
    return upright.sub(
        lambda letters: f"<mi>{re.sub('<[^>]+>', '', letters[0])}</mi>",
        convert(latex, display=display),
    )


def reachable(code: str) -> str:
    """The attribute by which the keyboard reaches a block, if it has to be scrolled anywhere."""
    fits = max(map(columns, code.splitlines()), default=0) <= FITS
    return "" if fits else ' tabindex="0"'


def columns(line: str) -> int:
    """How wide a line is where all letters are equally wide; Chinese ones are twice as wide."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in line)


def mark_chinese(text: str) -> str:
    """Chinese words in an English text say so, for readers aloud and for the choice of letters."""
    return CHINESE.sub(r'<span lang="zh-Hant">\g<0></span>', text)


def anchor(text: str) -> str:
    """The name that GitHub gives to a heading."""
    words = re.sub(r"<[^>]+>", "", text).strip().lower()
    return re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


def first_heading(text: str) -> str:
    """What a text is called."""
    return re.search(r"^# (.+)$", text, re.M)[1].strip()
