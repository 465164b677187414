"""Put what a student wrote into the teacher's notebook, whatever became of the one handed out.

Tests, set-up and pictures come from the source. Answers are found by nbgrader's mark, or else by
the function that they define. Cells that a student added stay where they were.
"""

import ast
import builtins
import hashlib
import json
import re
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import nbformat
from make_exercises import METADATA, TEXT_STUB, name_of, role, without_solutions
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from grading.borrowed import copied, used
from grading.syntax import DEFINITIONS, binds, statements, symbols

MISSING = "Missing: {}."
VERSIONS = "There were several versions of {}; the last one counts."
FOUND_BY_NAME = "Without nbgrader's mark, found by the name of the function: {}."
FOUND_BELOW = "Without text in its own cell, taken from below the question: {}."
FOUND_ELSEWHERE = "Nothing in its own cell, but in other places; somebody will look at it: {}."
HIDDEN = "Names of Python or the set-up with another value of yours; the tests run without it: {}."
TEST_MISSING = "Tests that were missing; the originals were run: {}."
TEST_CHANGED = "Tests that were changed; the originals were run: {}."


LARGEST = 10**8  # bytes


class Unreadable(ValueError):
    """The file is no notebook."""


# A text in quotes, or a comment of one or more lines.
NOTE = re.compile(r'''(?s:""".*?"""|\'{3}.*?\'{3})|"[^"\n]*"|\'[^\'\n]*\'|(?:#.*\n?\s*)+''')


@dataclass(eq=False)
class Cell:
    """What is used of a student's cell."""

    kind: str  # "code", "markdown" or "raw"
    text: str
    marks: tuple[str, ...] = ()  # nbgrader's grade_id
    ids: tuple[str, ...] = ()  # those of Jupyter and Colab
    attachments: dict = field(default_factory=dict)
    slot: "Slot | None" = None  # where it was handed out


@dataclass
class Mended:
    """A notebook that can be run and graded."""

    notebook: NotebookNode
    notes: list[str] = field(default_factory=list)  # for student and teacher
    blocked: dict[str, str] = field(default_factory=dict)  # test → why it is not run
    suspicions: list[str] = field(default_factory=list)  # for the teacher only


def read(data: bytes) -> list[Cell]:
    """The cells of a file, as far as it has any; Unreadable otherwise."""
    try:
        if data.startswith(b"\x1f\x8b"):  # as some servers and browsers keep it
            data = unpacked(data)
        text = data.decode(json.detect_encoding(data), "replace").lstrip("\ufeff \t\r\n")
        cells = [read_cell(cell) for cell in cells_of(loads(text)) if isinstance(cell, dict)]
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is not JSON (line {error.lineno}: {error.msg})") from None
    except Exception as error:  # a file of a student's can be anything
        raise Unreadable(f"it is not a notebook ({type(error).__name__}: {error})") from None
    if not any(cell.text for cell in cells):
        raise Unreadable("it has no cells")
    return cells


def unpacked(data: bytes) -> bytes:
    """What gzip has packed, unless it is far larger than a notebook."""
    gzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    result = gzip.decompress(data, LARGEST)
    if gzip.unconsumed_tail:
        raise ValueError(f"unpacked, it has more than {LARGEST:,} bytes")
    return result


def loads(text: str) -> object:
    """JSON with what a server put before it, or an editor behind it, and with commas too many."""
    start = re.search(r'^"|[\[{]', text)
    text = text[start.start() :] if start else text
    decoder = json.JSONDecoder(strict=False)
    try:
        return decoder.raw_decode(text)[0]
    except json.JSONDecodeError:
        if (mended := re.sub(r",(\s*[\]}])", r"\1", text)) == text:
            raise
        return decoder.raw_decode(mended)[0]


HOLDERS = ("cells", "worksheets", "notebook", "content")  # formats 4, 3 and 2; what servers send


def cells_of(content: object) -> list:
    """The cells in what a file holds: a notebook of any format, one in a wrapper, bare cells."""
    if isinstance(content, str):  # a notebook that was written into JSON as a text
        return cells_of(loads(content))
    if isinstance(content, list):
        parts = (cells_of(part) if is_holder(part) else [part] for part in content)
        return [cell for part in parts for cell in part]
    inner = next((content[key] for key in HOLDERS if content.get(key)), [])
    inner = [*inner.values()] if isinstance(inner, dict) and not is_holder(inner) else inner
    return cells_of(inner)


def is_holder(part: object) -> bool:
    """Whether something holds cells and is none."""
    return isinstance(part, dict) and any(map(part.get, HOLDERS))


def joined(value: object) -> str:
    """Text that may be a list of lines, with their ends or without."""
    if isinstance(value, list):
        lines = [joined(line) for line in value if line is not None]
        return ("" if "\n" in "".join(lines) else "\n").join(lines)
    # Half of a pair of UTF-16 can stand in JSON, but in no file.
    return re.sub("\r\n?", "\n", str(value)).encode("utf-8", "replace").decode()


def read_cell(cell: dict) -> Cell:
    """One cell, whatever of it is missing or of another kind than it should be."""
    keys = ("source", "input", "code", "text")  # as the formats 4, 3 and 1 have it
    text = joined(next((cell[key] for key in keys if cell.get(key)), ""))
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    mark = metadata.get("nbgrader") if isinstance(metadata.get("nbgrader"), dict) else {}
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        is_code = "outputs" in cell or re.search(r"^(def|class|import|from) ", text, re.M)
        kind = "code" if is_code and kind != "heading" else "markdown"
    ids = (cell.get("id"), metadata.get("id"))
    pictures = pictures_of(cell.get("attachments"))
    for name in pictures if kind == "markdown" else ():
        if name not in text + unquote(text):  # pasted, and its address deleted
            text += f"\n\n![{name}](<attachment:{name}>)"
    return Cell(kind, text, (mark.get("grade_id"),), ids, pictures)


def pictures_of(attachments: object) -> dict[str, dict[str, str]]:
    """Name → kind → data, of those attachments that are pictures."""
    found: dict[str, dict[str, str]] = {}
    for name, kinds in attachments.items() if isinstance(attachments, dict) else ():
        for kind, value in kinds.items() if isinstance(kinds, dict) else ():
            value = "".join(map(str, value)) if isinstance(value, list) else value
            if isinstance(value, str) and kind.startswith("image/"):
                found.setdefault(name, {})[kind] = value
    return found


# An address in Markdown may have spaces between < and >, and pairs of brackets.
ATTACHED = re.compile(
    r"(?<=\()<?attachment:((?:[^()\n]|\([^()\n]*\))+?)>?(?=(?: +[\"'][^\n]*)?\))"
    r"|attachment:([^\s\"'<>()]+)"
)


def with_pictures(text: str, pictures: dict) -> tuple[str, dict]:
    """Text and its pictures under names that every reader of Markdown finds.

    Names have spaces and any letters, and several cells may each have an "image.png". A picture
    that is not there keeps its name, but is no attachment any more: nbconvert would stop.
    """
    names = {}
    for name, kinds in pictures.items():
        content = hashlib.sha256(repr(kinds).encode("utf-8", "replace")).hexdigest()[:8]
        names[name] = names[unquote(name)] = content + re.sub("[^a-zA-Z0-9._-]+", "-", f"-{name}")

    def replace(match: re.Match) -> str:
        name = match[1] or match[2]
        new = names.get(name) or names.get(unquote(name))
        return f"attachment:{new}" if new else quote(unquote(name))

    return ATTACHED.sub(replace, text), {names[name]: kinds for name, kinds in pictures.items()}


def mend(source: NotebookNode, cells: list[Cell]) -> Mended:
    """The source's notebook with a student's answers and own cells in it."""
    return _Mending(source, cells).result()


@dataclass(eq=False)
class Slot:
    """A cell that was handed out, and what of the student's belongs there."""

    place: int
    ours: NotebookNode  # as it was handed out
    full: NotebookNode  # as the teacher has it, with solutions and hidden tests
    found: list[Cell] = field(default_factory=list)
    chosen: Cell | None = None  # what is graded

    def __post_init__(self) -> None:
        self.role, self.name = role(self.ours), name_of(self.ours)
        self.lines = plain(self.ours.source)

    def holds(self, cell: Cell) -> bool:
        """Whether a cell has no line that was not handed out here."""
        return set(plain(cell.text)) <= set(self.lines)

    def handed_out(self, cell: Cell) -> bool:
        """Whether a cell is as we gave it; a teacher who tries this out may hand in the source."""
        return plain(cell.text) in (self.lines, plain(self.full.source))


class _Mending:
    """Which student's cell belongs where."""

    def __init__(self, source: NotebookNode, cells: list[Cell]) -> None:
        full, ours = {cell.id: cell for cell in source.cells}, without_solutions(source).cells
        self.slots = [Slot(i, cell, full.get(cell.id, cell)) for i, cell in enumerate(ours)]
        self.answers = [slot for slot in self.slots if slot.role == "answer"]
        self.tests = [slot for slot in self.slots if slot.role == "test"]
        self.cells = cells
        self.noted: dict[str, list[str]] = defaultdict(list)  # sentence → names it is about
        self.gone: set[Cell] = set()  # stubs, and text that went into an answer
        self.rivals: set[Cell] = set()  # other versions of an answer: shown, but not run
        for cell in cells:
            if slot := self.slot_of(cell):
                cell.slot = slot
                slot.found.append(cell)
        for slot in self.slots:
            if slot.role == "answer":
                self.choose_answer(slot)
            elif slot.role == "text":
                self.choose_text(slot)

    def slot_of(self, cell: Cell) -> Slot | None:
        """The slot that a cell was handed out in, by nbgrader's mark, its text or its id."""
        marked = [slot for slot in self.slots if slot.name in cell.marks]
        same = [slot for slot in self.slots if slot.lines == plain(cell.text)]
        by_id = [slot for slot in self.slots if slot.ours.id in cell.ids]
        return next(iter([*marked, *same, *by_id]), None)

    def choose_answer(self, slot: Slot) -> None:
        """The last cell that says more than the stub: one that defines it, or else a marked one."""
        others = {other.name for other in self.answers} - {slot.name}
        pools = (
            [cell for cell in self.cells if slot.name in definitions(cell)],
            [cell for cell in slot.found if not definitions(cell) & others],
            [cell for cell in self.cells if slot.name in assignments(cell)],
        )
        filled = (pool for pool in pools if not all(map(slot.holds, pool)))
        pool = next(filled, [*pools[0], *pools[1]])
        self.choose(slot, pool)
        if self.cells and not pool:
            self.noted[MISSING].append(slot.name)
        if slot.chosen and slot.name not in slot.chosen.marks:
            self.noted[FOUND_BY_NAME].append(slot.name)

    def choose_text(self, slot: Slot) -> None:
        """The last marked cell that is filled in, or else what was written in other places."""
        self.choose(slot, slot.found)
        if slot.chosen:
            return
        question, here, near, far = self.slots[slot.place - 1], None, [], []
        graded = [other.chosen for other in self.slots]
        for cell in self.cells:
            here, kind = cell.slot or here, cell.slot.role if cell.slot else ""
            if cell in self.gone or kind == "text" or not "".join(self.own_lines(cell)).strip():
                continue  # nothing new, or another written answer
            is_ours = kind or cell in graded
            beside = cell.slot in (None, question) and here in (question, slot) and not is_ours
            (near if beside else far).append(cell)
        texts = [c for c in near if is_prose(c)] or near
        texts = texts or [c for c in far if is_prose(c) or self.says_much(c)]
        if texts:
            slot.chosen = self.gathered(texts)
            whole = all(cell.kind == "markdown" and not cell.slot for cell in texts)
            self.gone |= set(texts) if whole and texts[0] in near else set()
            self.noted[FOUND_BELOW if texts[0] in near else FOUND_ELSEWHERE].append(slot.name)
        elif self.cells and not slot.found:
            self.noted[MISSING].append(slot.name)

    def says_much(self, cell: Cell) -> bool:
        """Whether the student's lines in a cell hold a comment or a string of a dozen words."""
        notes = NOTE.findall("\n".join(self.own_lines(cell)))
        return any(len(re.findall(r"[\u4e00-\u9fff]|[^\W\d_]+", note)) >= 12 for note in notes)

    def own_lines(self, cell: Cell) -> list[str]:
        """The lines that stand in no cell that was handed out."""
        given = {TEXT_STUB}.union(*(slot.lines for slot in self.slots))
        return [line for line in cell.text.splitlines() if line.rstrip() not in given]

    def gathered(self, cells: list[Cell]) -> Cell:
        """What cells say, as one text in Markdown."""
        texts, pictures = [], {}
        for cell in cells:
            text = "\n".join(self.own_lines(cell)) if cell.slot else cell.text
            text, own = with_pictures(text, cell.attachments)
            texts.append(text if cell.kind == "markdown" else fenced(text))
            pictures |= own
        return Cell("markdown", "\n\n".join(texts), attachments=pictures)

    def choose(self, slot: Slot, pool: list[Cell]) -> None:
        """Take the last cell of a pool that is not a stub."""
        filled = [cell for cell in pool if not slot.holds(cell)]
        self.gone |= set(pool) - set(filled)
        self.rivals |= set(filled)
        if filled:
            slot.chosen = filled[-1]
            if any(plain(cell.text) != plain(filled[-1].text) for cell in filled):
                self.noted[VERSIONS].append(slot.name)

    def result(self) -> Mended:
        """The notebook: ours, slot by slot, with what the student added."""
        behind = self.additions()
        cells = [*behind[-1]]
        for slot in self.slots:
            cells += [self.filled(slot), *behind[slot.place]]
        for number, cell in enumerate(cells):
            cell.id = f"cell-{number}"
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        for slot in self.tests if self.cells else ():
            if not slot.found:
                self.noted[TEST_MISSING].append(slot.name)
            elif not all(map(slot.handed_out, slot.found)):
                self.noted[TEST_CHANGED].append(slot.name)
        self.look_for_hidden(cells)
        notes = [text.format(", ".join(names)) for text, names in self.noted.items() if names]
        mended = Mended(new_notebook(cells=cells, metadata=METADATA), notes)
        self.look_for_borrowed(mended)
        return mended

    def additions(self) -> dict[int, list[NotebookNode]]:
        """Place of a slot → the student's own cells to put behind it."""
        behind, here = defaultdict(list), -1
        graded = [slot.chosen for slot in self.slots]
        for cell in self.cells:
            slot = cell.slot
            here = slot.place if slot else here
            if cell in graded or not cell.text.strip():
                continue
            if cell in self.rivals:
                behind[here].append(quoted(cell))
            elif not slot:
                behind[here] += [] if cell in self.gone else [added(cell)]
            elif slot.holds(cell) or slot.handed_out(cell):
                continue
            elif not slot.role:  # changed by the student: ours still comes after it
                behind[here - 1].append(added(cell))
            elif slot.role == "answer":  # marked as one, but another cell defines it
                later = slot.chosen in self.cells[: self.cells.index(cell)]
                behind[here if later else here - 1].append(added(cell))
        return behind

    def filled(self, slot: Slot) -> NotebookNode:
        """Our cell, with the answer that is graded; one with several answers stands only once."""
        # It keeps the checksum of the stub: nbgrader gives 0 to a text that still has it.
        ours = nbformat.from_dict(slot.full if slot.role == "test" else slot.ours)
        theirs = slot.chosen
        if theirs:
            first = next(other for other in self.slots if other.chosen is theirs)
            ours.source = theirs.text
            attach(ours, theirs.attachments)
            if first is not slot:
                ours.source = f"# Your {slot.name} stands above, with {first.name}."
        return ours

    def look_for_hidden(self, cells: list[NotebookNode]) -> None:
        """Note names of Python and of the set-up that a student's own cells use for values."""
        given = {"torch", "icnn", "nn", "np", "plt"} | set(dir(builtins))
        own = [cell.source for cell in cells if cell.metadata.get("student") == "added"]
        names = [name for text in own for name in symbols(text)]
        new = {name.get_name() for name in names if name.is_assigned() and not name.is_imported()}
        self.noted[HIDDEN] = sorted(given & new)

    def look_for_borrowed(self, mended: Mended) -> None:
        """Keep answers that are icnn's own from being run as the student's."""
        code = [cell.text for cell in self.cells if cell.kind == "code"]
        for slot in (slot for slot in self.answers if slot.chosen):
            if own := used(slot.name, slot.chosen.text, code):
                why = f"{slot.name} hands in icnn's own {own}. It is right, but it is not yours: "
                mended.notes.append(f"{why}0 points.")
                test = next(test for test in self.tests if test.place > slot.place)
                mended.blocked[test.name] = f"{why}0 points."
            elif own := copied(slot.name, slot.chosen.text):
                suspicion = f"{slot.name} is, but for names, the code of icnn's {own}"
                mended.suspicions.append(suspicion)


def plain(text: str) -> list[str]:
    """The lines that say something, without spaces at their ends."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def definitions(cell: Cell) -> set[str]:
    """The functions and classes that a cell defines; by their first lines if it is no Python."""
    if body := parts_of(cell):
        return set().union(*(binds(part) for part in body if isinstance(part, DEFINITIONS)))
    text = cell.text if cell.kind == "code" else ""
    return set(re.findall(r"^(?:def|class) (\w+)", text, re.M))


def assignments(cell: Cell) -> set[str]:
    """The names that a cell binds otherwise: `f = …` and `from … import f`."""
    return set().union(*(binds(p) for p in parts_of(cell) if not isinstance(p, DEFINITIONS)))


def parts_of(cell: Cell) -> list[ast.stmt]:
    """The statements of a cell of code."""
    return statements(cell.text) if cell.kind == "code" else []


def added(cell: Cell) -> NotebookNode:
    """A cell of the student's own, to be run where it stands."""
    make = new_code_cell if cell.kind == "code" else new_markdown_cell
    return attach(make(cell.text, metadata={"student": "added"}), cell.attachments)


def attach(cell: NotebookNode, pictures: dict) -> NotebookNode:
    """The cell; in Markdown it gets its pictures."""
    if cell.cell_type == "markdown":
        cell.source, pictures = with_pictures(cell.source, pictures)
        if pictures:
            cell.attachments = nbformat.from_dict(pictures)
    return cell


def quoted(cell: Cell) -> NotebookNode:
    """A cell that is shown, but not run."""
    text = f"**Not graded: another version of this cell is.**\n\n{fenced(cell.text, 'python')}"
    return new_markdown_cell(text, metadata={"student": "not graded"})


def fenced(text: str, language: str = "") -> str:
    """Text as it was written, in Markdown."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def is_prose(cell: Cell) -> bool:
    """Whether a cell does nothing: text, comments, strings, or words that are no Python."""
    return all(
        isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)
        for part in parts_of(cell)
    )
