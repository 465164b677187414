"""The reference: every public name with its signature, docstring, formula and lesson."""

from __future__ import annotations

import ast
import html
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from dataclasses import is_dataclass
from types import ModuleType

import icnn
from website.equations import EQUATIONS
from website.text import mathml, reachable

TITLE = "Reference"
SECTION = re.compile(r"(Args|Attributes|Returns|Raises|Yields):(.*)", re.S)


def body(lessons: dict[str, str]) -> str:
    """The page; `lessons` has the address of each lesson's page, by number."""
    found = dict(modules())
    short = {name: f"icnn.{module}.{name}" for name, module in icnn._MODULE_OF.items()}
    parts = [module_part(name, module, lessons) for name, module in found.items()]
    intro = (
        "<p>Every public name, with shapes, units and errors, the formula where there is one, and "
        "the lesson that teaches it.</p>"
    )
    return (
        f"<h1>{TITLE}</h1>{intro}"
        f'<h2 id="names">Names of <code>icnn</code> itself</h2>{contents(short)}'
        f'<h2 id="modules">Modules</h2>{contents({name: name for name in found})}{"".join(parts)}'
    )


def contents(places: dict[str, str]) -> str:
    """A list of names that lead to their places."""
    items = (f'<li><a href="#{it}"><code>{name}</code></a></li>' for name, it in places.items())
    return f"<ul class=columns>{''.join(items)}</ul>"


def modules() -> Iterator[tuple[str, ModuleType]]:
    """(name, module) of all public modules, those of lesson 1 first, each with what is in it."""
    walked = [info.name for info in pkgutil.walk_packages(icnn.__path__, "icnn.")]
    order = list(dict.fromkeys([f"icnn.{name}" for name in icnn._HOME] + walked))
    walked.sort(key=lambda name: order.index(".".join(name.split(".")[:2])))
    for name in walked:
        if not any(part.startswith("_") for part in name.split(".")):
            yield name, importlib.import_module(name)


def members(module: ModuleType) -> Iterator[tuple[str, object]]:
    """Public functions and classes that a module defines, in the order of its text."""
    own = {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module.__name__
    }
    yield from sorted(own.items(), key=lambda item: inspect.getsourcelines(item[1])[1])


def module_part(name: str, module: ModuleType, lessons: dict[str, str]) -> str:
    """One module and what it defines."""
    parts = [f'<h2 id="{name}"><code>{name}</code></h2>', docstring(module, lessons)]
    if module is icnn.check:
        parts.append(checkers())
    for member, thing in members(module):
        parts.append(part(f"{name}.{member}", member, thing, "h3", lessons))
        if inspect.isclass(thing):
            parts += [
                part(f"{name}.{member}.{method}", f"{member}.{method}", value, "h4", lessons)
                for method, value in vars(thing).items()
                if inspect.isfunction(value) and not method.startswith("_") and value.__doc__
            ]
    return "".join(parts)


def checkers() -> str:
    """A table of the checkers, which are not functions with docstrings."""
    lines = "".join(
        f'<tr><th scope="row" id="icnn.check.{name}"><code>check.{name}(fn)</code></th>'
        f"<td><code>{html.escape(getattr(icnn.check, name).signature)}</code></td></tr>"
        for name in icnn.check.__all__
    )
    head = '<th scope="col">checker</th><th scope="col">the function that it checks</th>'
    return (
        "<p>Each returns a result with <code>.passed</code> and <code>.message</code>.</p>"
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead>{lines}</table></div>'
    )


def part(place: str, name: str, thing: object, level: str, lessons: dict[str, str]) -> str:
    """One function or class: signature, formula, docstring."""
    formula = ""
    if latex := EQUATIONS.get(name):
        formula = f'<div class="wide" tabindex="0">{mathml(latex, "block")}</div>'
    heading = f'<{level} id="{place}"><code>{name}</code></{level}>'
    text = signature_of(thing)
    signature = f"<pre{reachable(text)}><code>{html.escape(text)}</code></pre>"
    return heading + signature + formula + docstring(thing, lessons)


def signature_of(thing: object) -> str:
    """The first lines of a definition as they are written; of a class, its __init__ too."""
    made = vars(thing).get("__init__") if inspect.isclass(thing) else None
    if not inspect.isfunction(made) or is_dataclass(thing):
        return header(thing)
    return header(thing) + "\n" + textwrap.indent(header(made), "    ")


def header(thing: object) -> str:
    """The lines from `def` or `class` to the colon."""
    source = textwrap.dedent(inspect.getsource(thing))
    node = ast.parse(source).body[0]
    end = node.body[0].lineno - 1
    return "\n".join(source.splitlines()[node.lineno - 1 : end]).rstrip(": ").removeprefix("def ")


def docstring(thing: object, lessons: dict[str, str]) -> str:
    """Paragraphs, and lists of arguments, from a docstring."""
    blocks = re.split(r"\n\s*\n", inspect.getdoc(thing) or "")
    return "".join(block(text, lessons) for text in blocks if text)


def block(text: str, lessons: dict[str, str]) -> str:
    """One paragraph, or one section with its entries."""
    section = SECTION.fullmatch(text)
    if not section:
        return f"<p>{inline(text, lessons)}</p>"
    title, rest = section[1], inspect.cleandoc(section[2])
    entries = re.split(r"\n(?=\S)", rest)
    named = [re.match(r"([\w*, `.]+): (.*)", entry, re.S) for entry in entries]
    if title == "Returns" or not all(named):
        return f"<p><strong>{title}:</strong> {inline(rest, lessons)}</p>"
    listed = "".join(
        f"<dt><code>{html.escape(entry[1])}</code></dt><dd>{inline(entry[2], lessons)}</dd>"
        for entry in named
    )
    return f"<p><strong>{title}:</strong></p><dl>{listed}</dl>"


def inline(text: str, lessons: dict[str, str]) -> str:
    """Code between backticks, and links to lessons."""
    text = html.escape(" ".join(text.split()), quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)

    def to_lesson(match: re.Match) -> str:
        return f'<a href="{lessons[match[2]]}">{match[0]}</a>'

    return re.sub(r"(?<![\w-])([Ll]essons? )(\d+)\b", to_lesson, text)
