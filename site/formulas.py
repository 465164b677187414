"""Formulas as MathML, which browsers set by themselves: no script, no network."""

import re
from xml.etree import ElementTree

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

LOG = logging.getLogger(__name__)
FITS = 28  # letters of LaTeX that fit a telephone's width; longer formulas can be scrolled
# What latex2mathml does not know or sets badly, and a way to say it.
KNOWN = {
    r"(?<![\\{A-Za-z])MI(?![A-Za-z])": r"\\mathrm{MI}",
    r"\\[lr]Vert": r"\\|",
    r"\\arg(?![a-z])": r"\\operatorname{arg}",
    r"\\(ln|log)(?![a-z])": r"\\,\\\1\\,",
    r"\\Big(?=\\langle)": r"\\left",
    r"\\Big(?=\\rangle)": r"\\right",
    r"\\text\{([^{}]*)\\textbf\{([^{}]*)\}([^{}]*)\}": r"\\text{\1}\\textbf{\2}\\text{\3}",
    r"\\math(cal|bb|bf|rm) (\w)": r"\\math\1{\2}",
}
UPRIGHT = re.compile(r'(?:<mi mathvariant="normal">\w</mi>){2,}')  # one word, not letters
# What browsers show otherwise than it is meant, or not at all.
UNSHOWN = re.compile(r'\\|<menclose|linebreak=|mathvariant="(?!normal|bold")')


def mathml(latex: str, display: str) -> str:
    """A formula that a browser can set; a ValueError says what it cannot."""
    latex = " ".join(latex.split())
    if re.search(r"(?<!\\)%", latex):
        raise ValueError("an unescaped % hides what follows it")
    if len(re.findall(r"(?<!\\)\{", latex)) != len(re.findall(r"(?<!\\)\}", latex)):
        raise ValueError("braces do not match")
    for unknown, known in KNOWN.items():
        latex = re.sub(unknown, known, latex)
    text = convert(latex, display=display)
    text = text.replace('<menclose notation="box">', '<mrow class="boxed">')
    text = text.replace("</menclose>", "</mrow>")
    text = UPRIGHT.sub(lambda word: f"<mi>{re.sub('<[^>]+>', '', word[0])}</mi>", text)
    ElementTree.fromstring(text)
    if unshown := UNSHOWN.search(text):
        raise ValueError(f"not set: {text[unshown.start() :][:40]}")
    return text


def _visit(display: str, wrap: str):
    def visit(translator, node: nodes.Node) -> None:
        latex = node.astext()
        try:
            formula = mathml(latex, display)
        except Exception as error:  # latex2mathml has many kinds
            LOG.error("formula %r: %s %s", latex, type(error).__name__, error, location=node)
            formula = ""
        short = display == "inline" and len(latex) < FITS
        translator.body.append(formula if short else wrap.format(formula))
        raise nodes.SkipNode

    return visit, None


def setup(app) -> dict:
    app.add_html_math_renderer(
        "mathml",
        _visit("inline", '<span class="long-formula" tabindex="0">{}</span>'),
        _visit("block", '<div class="formula" tabindex="0">{}</div>'),
    )
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
