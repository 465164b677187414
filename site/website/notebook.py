"""A notebook with its saved outputs as html."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import nbformat
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from website.text import markdown, reachable

PYTHON, SPANS = PythonLexer(), HtmlFormatter(nowrap=True)


def body(notebook: nbformat.NotebookNode, link: Callable[[str], str], language: str) -> str:
    """All cells, one after another. Texts are joined: a heading is numbered once in a page."""
    texts = {}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            texts[number] = code(cell)
            cell.source = f"\n<icnn-cell-{number}></icnn-cell-{number}>\n"
        elif cell.get("attachments"):
            cell.source = with_pictures(cell)
    joined = markdown("\n\n".join(cell.source for cell in notebook.cells), link, language)
    for number, text in texts.items():
        mark = f"<icnn-cell-{number}></icnn-cell-{number}>"
        joined = re.sub(rf"(<p>)?{mark}(</p>)?", lambda _, text=text: text, joined)
    return joined


def code(cell: nbformat.NotebookNode) -> str:
    """A code cell and what it gave."""
    source = highlight(cell.source, PYTHON, SPANS).rstrip()
    return "\n".join(
        [f'<pre class="code"{reachable(cell.source)}><code>{source}</code></pre>']
        + [output(item) for item in cell.outputs]
    )


def output(item: nbformat.NotebookNode) -> str:
    """One output: a picture or table as it is, other text as text."""
    data = item.get("data", {"text/plain": item.get("text", "")})
    if "text/html" in data:
        shown = data["text/html"].replace(" ± ", "&nbsp;±&nbsp;")  # on one line
        table = ' tabindex="0"' if "<table" in shown else ""  # pictures shrink
        return f'<div class="wide"{table}>{shown}</div>'
    text = data["text/plain"].rstrip()
    return f'<pre class="output"{reachable(text)}>{html.escape(text)}</pre>'


def with_pictures(cell: nbformat.NotebookNode) -> str:
    """The text of a cell with its attached pictures inside."""
    text = cell.source
    for name, kinds in cell.attachments.items():
        (kind, data), *_ = kinds.items()
        text = text.replace(f"attachment:{name}", f"data:{kind};base64,{data}")
    return text
