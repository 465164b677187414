"""What the site does with notebooks and pages beyond Sphinx: pictures, cards, Chinese words."""

import base64
import hashlib
import json
import os
import re
from pathlib import Path

from docutils import nodes

PICTURE = re.compile(r'src=\\"data:image/(\w+);base64,([^"\\]+)\\"')  # in HTML in JSON
CHINESE = re.compile(r"(?s)(<script.*?</script>|<title>.*?</title>|<[^>]+>)|([\u3400-\u9fff]+)")

EMPTY_HEADER = '<th class="head"><p></p></th>'


def take_pictures_out(app, docname: str, source: list[str]) -> None:
    """Pictures inside a notebook become files beside the pages, which is half as much to load."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return

    def place(found: re.Match) -> str:
        return rf"loading=\"lazy\" src=\"{_saved(app, docname, *found.groups())}\""

    notebook = json.loads(PICTURE.sub(place, source[0]))
    for cell in notebook["cells"]:
        for name, kinds in cell.pop("attachments", {}).items():
            ((kind, data),) = kinds.items()
            file = _saved(app, docname, kind.removeprefix("image/"), "".join(data))
            cell["source"] = "".join(cell["source"]).replace(f"attachment:{name}", file)
    source[0] = json.dumps(notebook)


def _saved(app, docname: str, kind: str, data: str) -> str:
    """Write a picture; returns the way to it from the page."""
    name = f"{hashlib.sha256(data.encode()).hexdigest()[:16]}.{kind}"
    file = Path(app.srcdir, "_static", "pictures", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(base64.b64decode(data))
    return Path(os.path.relpath(file, Path(app.srcdir, docname).parent)).as_posix()


def name_rows(app, doctree: nodes.document) -> None:
    """In a table with an empty head (a card), the first cell says what its row is about."""
    for table in doctree.findall(nodes.tgroup):
        for head in list(table.findall(nodes.thead)):
            if not head.astext().strip():
                table.remove(head)
                next(table.findall(nodes.colspec))["stub"] = 1


def say_language(app, page: str, template: str, context: dict, doctree) -> None:
    if page.endswith("zh_hant"):
        context["language"] = "zh-Hant"


def for_readers_aloud(app, error) -> None:
    """Chinese words in English pages say that they are; an empty cell is no header."""
    for path in Path(app.outdir).rglob("*.html") if not error else ():
        text = path.read_text(encoding="utf-8").replace(EMPTY_HEADER, "<td></td>")
        if '<html lang="en"' in text:
            text = CHINESE.sub(lambda it: it[1] or f'<span lang="zh-Hant">{it[2]}</span>', text)
        path.write_text(text, encoding="utf-8", newline="\n")


def setup(app) -> dict:
    app.connect("source-read", take_pictures_out)
    app.connect("doctree-read", name_rows)
    app.connect("html-page-context", say_language)
    app.connect("build-finished", for_readers_aloud)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
