"""The page that a student gets: the notebook that was graded, to be read in any browser, offline.

Markdown and HTML of students pass through bleach; formulas are set here, as MathML; pictures are
shown if they are in the notebook. What is left can run nothing and asks no other place for
anything, and the page's own policy (in page.html.j2) forbids both once more.
"""

import re
from base64 import b64encode
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import bleach
from bleach.css_sanitizer import CSSSanitizer
from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert.filters import Highlight2HTML, ansi2html
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

LONGEST = 20_000  # letters of Markdown; reading it takes time that grows with their square
PASTED = re.compile(r"data:(image/[\w.+-]+);base64,([\w+/=]{1000,})")  # a picture as an address
PICTURES = [f"image/{kind}" for kind in ("svg+xml", "png", "jpeg", "webp", "gif")]
MATH = """
    math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded mphantom msub msup msubsup
    munder mover munderover mtable mtr mtd menclose
"""
TAGS = """
    a abbr b blockquote br caption center code col colgroup dd del details div dl dt em figcaption
    figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strong sub
    summary sup table tbody td tfoot th thead tr tt u ul var
"""
ATTRIBUTES = {
    **{tag: lambda _, name, __: not re.match("href|xlink|on|style", name) for tag in MATH.split()},
    **{tag: ["style", "align", "colspan", "rowspan"] for tag in ("td", "th")},
    **{tag: ["class"] for tag in ("code", "div", "pre", "span")},
    **{"a": ["href", "title", "rel"], "details": ["open"], "font": ["color"], "ol": ["start"]},
    "img": ["src", "alt", "title", "width", "height"],
}
KNOWN = {*TAGS.split(), *MATH.split(), "input", "style", "svg", ""}  # "": a comment
ATTRIBUTE = r"""[\w:-]+\s*=\s*("[^"]*"|'[^']*'|[^\s>]+)|open|checked|disabled"""
TAG = re.compile(rf"</?(\w+)(\s+({ATTRIBUTE}))*\s*/?>|<!--.*", re.S)
CSS = CSSSanitizer(allowed_css_properties=["text-align", "color", "font-weight"])


def page(notebook: NotebookNode, **words: str) -> tuple[str, list[str]]:
    """The page, and what could be shown as plain text only; `words` are for the template."""
    cells = [shown(cell) for cell in notebook.cells]
    graded = [cell for cell in cells if "points" in cell["mark"]]
    html = template().render(cells=cells, graded=graded, **words)
    return html, [cell["trouble"] for cell in cells if cell["trouble"]]


@cache
def template():
    """The frame of all pages."""
    frames = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    colours = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    frames.globals["colours"] = Markup(re.sub("background: [^;]+;", "", colours))
    return frames.get_template("page.html.j2")


def shown(cell: NotebookNode) -> dict:
    """What the template needs of a cell; one that cannot be set is shown as it was written."""
    mark, trouble = cell.metadata.get("nbgrader", {}), ""
    result = {"mark": mark, "outputs": []}
    try:
        if cell.cell_type == "code":
            result["source"] = Markup(Highlight2HTML(pygments_lexer="python3")(cell.source))
            result["outputs"] = [shown_output(output) for output in cell.get("outputs", [])]
        else:
            result["source"] = markdown(cell.source, cell.get("attachments", {}))
    except Exception as error:  # what a student writes can be anything
        trouble = f"{mark.get('grade_id', 'a cell')}: {type(error).__name__}: {error}"[:200]
        result["source"] = Markup("<pre>{}</pre>").format(cell.source)
    comment = mark.get("comment") or ""
    return {**result, "trouble": trouble, "comment": markdown(comment)}


def shown_output(output: NotebookNode) -> Markup:
    """One output, the richest form of it that is safe."""
    if output.output_type == "stream":
        return Markup(f"<pre>{ansi2html(output.text)}</pre>")
    if output.output_type == "error":
        return Markup(f'<pre class="error">{ansi2html(chr(10).join(output.traceback))}</pre>')
    data = {kind: str(value) for kind, value in output.data.items()}
    for kind in PICTURES:
        if kind in data:
            alt = output.metadata.get("alt") or data.get("text/plain", "")
            return clean(f'<img src="{address(kind, data[kind])}" alt="{escape(alt)}">')
    if "text/html" in data:
        return clean(data["text/html"])
    for kind in ("text/markdown", "text/latex"):
        if kind in data:
            return markdown(data[kind])
    return Markup(f"<pre>{ansi2html(data.get('text/plain', ''))}</pre>")


def address(kind: str, value: str) -> str:
    """A picture as an address that holds it."""
    if kind == "image/svg+xml" and "<" in value:
        value = b64encode(value.encode()).decode()
    return f"data:{kind};base64,{''.join(value.split())}"


# --- Markdown and HTML of unknown origin ---------------------------------------------------------


class Renderer(IPythonRenderer):
    """Sets formulas; leaves pictures to `clean`, which also meets those in HTML."""

    def _embed_image_or_attachment(self, src: str) -> str:
        return src

    def inline_html(self, html: str) -> str:
        """A tag, and no comparison: `a<b and c>d` has words after its `<` that tags do not have."""
        tag = TAG.fullmatch(html)
        return html if tag and (tag[1] or "").lower() in KNOWN else escape(html)

    def inline_math(self, body: str, display: str = "inline") -> str:
        """LaTeX as MathML; as code, where it cannot be set."""
        known = re.sub(r"\{(aligned|split|gathered)\}", "{align}", body)
        try:
            math = convert(re.sub(r"\\label\{[^}]*\}", "", known), display=display)
            ElementTree.fromstring(math)
            return math
        except Exception:
            return f"<code>{escape(body)}</code>"

    def block_math(self, body: str) -> str:
        return self.inline_math(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


def markdown(source: str, attachments: dict | None = None) -> Markup:
    """Markdown as HTML."""
    attachments, pasted = attachments or {}, PASTED.findall(source)
    for number, (kind, value) in enumerate(pasted):  # out of the way of the reader of Markdown
        attachments = {**attachments, f"pasted-{number}": {kind: value}}
        source = source.replace(f"data:{kind};base64,{value}", f"attachment:pasted-{number}")
    if len(source) > LONGEST:
        raise ValueError(f"it has {len(source):,} letters")
    source = re.sub(r"^\|.*", without_bars, source, flags=re.M)
    renderer = Renderer(escape=False, exclude_anchor_links=True)
    return clean(MarkdownWithMath(renderer).render(source), attachments)


def without_bars(row: re.Match) -> str:
    """A row of a table whose formulas have no `|`, which would end a cell."""
    return re.sub(
        r"\$[^$\n]+\$",
        lambda math: math[0].replace(r"\|", r"\Vert ").replace("|", r"\vert "),
        row[0],
    )


def clean(html: str, attachments: dict | None = None) -> Markup:
    """HTML that runs nothing and loads nothing; tags that are not allowed are shown as text."""
    soup = BeautifulSoup(html, "html.parser")
    for style in soup("style"):
        style.decompose()
    for drawing in soup("svg"):
        drawing.replace_with("[A drawing in SVG is not shown.]")
    for link in soup("a"):
        if not re.match("(https?|mailto):", link.get("href", ""), re.I):
            link.unwrap()
        else:
            link["rel"] = "noopener noreferrer"
    for box in soup("input", type="checkbox"):  # a list of what is done
        box.replace_with("☑ " if box.has_attr("checked") else "☐ ")
    for image in soup("img"):
        source = found(str(image.get("src", "")), attachments or {})
        if source.startswith("data:image/"):
            image["src"] = source
        else:
            about = f" ({image['alt']})" if image.get("alt", source) != source else ""
            image.replace_with(f"[The picture {source}{about} is not in the notebook.]")
    tags, protocols = {*TAGS.split(), *MATH.split()}, {"http", "https", "mailto", "data"}
    return Markup(bleach.clean(str(soup), tags, ATTRIBUTES, protocols, css_sanitizer=CSS))


def found(source: str, attachments: dict) -> str:
    """The address of a picture: with the picture in it if it is attached."""
    if not source.startswith("attachment:"):
        return source if source.startswith("data:") else unquote(source)
    name = unquote(source).removeprefix("attachment:")
    kinds = attachments.get(name, {})
    return next((address(kind, value) for kind, value in kinds.items()), name)
