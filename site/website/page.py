"""Where pages lie, how links between files become links between them, and what is around each."""

from __future__ import annotations

import html
import os
import posixpath
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from urllib.parse import quote, unquote, urlsplit

from website.text import mark_chinese

ROOT = Path(__file__).resolve().parent.parent.parent
STYLE = Path(__file__).with_name("style.css")
MENU = {
    "index.html": "Start",
    "index.html#lessons": "Lessons",
    "exercises/index.html": "Exercises",
    "glossary.html": "Glossary",
    "reference.html": "Reference",
    "times.html": "Run times",
    "docs/teachers_guide.html": "For teachers",
}
FOLDERS = {"lessons": "index.html#lessons", "exercises": "exercises/index.html"}
LAYOUT = Template(
    """<!doctype html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<link rel="stylesheet" href="$style">
</head>
<body>
<a class="skip" href="#main" lang="en">Skip to the text</a>
<header lang="en"><nav aria-label="Site">$menu</nav></header>
<main id="main">
$body
</main>
$footer
</body>
</html>
"""
)
FOOTER = '<footer lang="en"><nav aria-label="Before and after">{}</nav></footer>'


@dataclass
class Site:
    """A folder of pages that works without a server.

    Attributes:
        folder: where the pages are written.
        places: file or folder of the repository → its page.
    """

    folder: Path
    places: dict[str, str] = field(default_factory=dict)

    def write(
        self,
        place: str,
        title: str,
        body: str,
        *,
        language: str = "en",
        beside: tuple = (None, None),
    ) -> None:
        """Write one page; `beside` are (place, title) of the pages before and after it, or None."""
        menu = "".join(
            f'<a href="{relative(place, target)}"{current(place, target)}>{name}</a>'
            for target, name in MENU.items()
        )
        arrows = zip(("← {}", "{} →"), beside, strict=True)
        neighbours = "".join(
            f'<a href="{relative(place, it[0])}">{arrow.format(titled(it[1]))}</a>'
            for arrow, it in arrows
            if it
        )
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        text = LAYOUT.substitute(
            language=language,
            title=html.escape(title if title.startswith("icnn") else f"{title} · icnn"),
            style=relative(place, "style.css"),
            menu=menu,
            body=body,
            footer=FOOTER.format(neighbours) if neighbours else "",
        )
        path.write_text(text, encoding="utf-8", newline="\n")

    def link(self, source: str, url: str) -> str:
        """What a link in a file of the repository becomes on the page of that file."""
        parts = urlsplit(url)
        if parts.scheme or not parts.path:
            return url
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(parts.path)))
        if target not in self.places:
            self.places[target] = self.copy(target)
        anchor = f"#{parts.fragment}" if parts.fragment else ""
        return quote(relative(self.places[source], self.places[target])) + anchor

    def copy(self, target: str) -> str:
        """Take a file that has no page of its own into the site."""
        place = f"files/{target}"
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / target, path)
        return place


def titled(title: str) -> str:
    """A title as html."""
    return mark_chinese(html.escape(title))


def current(place: str, target: str) -> str:
    """The attribute that says in the menu where one is: on this page, or below it."""
    if target == place:
        return ' aria-current="page"'
    return ' aria-current="true"' if target == FOLDERS.get(place.split("/")[0]) else ""


def relative(place: str, target: str) -> str:
    """The way from one page to another."""
    return posixpath.relpath(target, posixpath.dirname(place) or ".").replace(os.sep, "/")
