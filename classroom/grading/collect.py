"""Find what was handed in, by whom, and for which set, in folders as they are downloaded.

Understood are `student/set/notebook.ipynb` (nbgrader), `student/notebook.ipynb`, and
`student.ipynb`. Names may have spaces and any letters.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

# Only what nbgrader's web pages and file names can both carry.
FORBIDDEN = re.compile(r"[^\w .,@()+'=&-]")


@dataclass
class Submission:
    """One student's file for one set."""

    student: str
    set: str
    path: Path
    notes: list[str] = field(default_factory=list)


@dataclass
class Found:
    """All submissions, and what could not be used."""

    submissions: list[Submission]
    problems: list[str]


def collect(folder: Path, sets: dict[str, set[str]], only: str | None = None) -> Found:
    """Find submissions; `sets`: name → the functions that it asks for; `only`: all are of this."""
    found: dict[tuple[str, str | None], list[Path]] = defaultdict(list)
    for path in sorted(folder.rglob("*.ipynb*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in parts):
            name = only or set_of(path, parts, sets)
            found[student_of(parts, sets), name].append(path)
    counts = Counter(name for _, name in found if name)
    likely = counts.most_common(1)[0][0] if counts else None
    submissions, problems = [], []
    for (student, name), paths in found.items():
        notes = []
        if name is None:
            if likely is None or (student, likely) in found:
                places = ", ".join(str(path.relative_to(folder)) for path in paths)
                problems.append(f"{places}: it does not say which set it is; use --set")
                continue
            name = likely
            notes.append(f"The file does not say which set it is; {name} was assumed.")
        newest = max(paths, key=lambda path: (path.stat().st_mtime, path.name))
        if len(paths) > 1:
            notes.append(f"Of {len(paths)} files, the newest was graded: {newest.name}.")
        submissions.append(Submission(student, name, newest, notes))
    with_files = {path.relative_to(folder).parts[0] for paths in found.values() for path in paths}
    for path in sorted(folder.iterdir()):
        if path.name not in with_files and not path.name.startswith("."):
            problems.append(f"{path.name}: there is no notebook")
    return Found(sorted(submissions, key=lambda s: (s.set, s.student)), problems)


def set_of(path: Path, parts: tuple[str, ...], sets: dict[str, set[str]]) -> str | None:
    """The set of a file, by its folder, its name, or the functions that stand in it."""
    for text in (*parts[-2:-1], path.name):
        if named := [name for name in sets if name in unicodedata.normalize("NFC", text)]:
            return named[0]
    text = path.read_bytes().decode("utf-8", "replace")
    hits = {
        name: sum(bool(re.search(rf"\b(?:def|class) {f}\b|\b{f} *=", text)) for f in functions)
        for name, functions in sets.items()
    }
    best = max(hits, key=hits.get)
    return best if hits[best] else None


def student_of(parts: tuple[str, ...], sets: dict[str, set[str]]) -> str:
    """The name of a student: the first folder, or else the file's name without that of a set."""
    raw = parts[0]
    if len(parts) == 1:
        raw = re.sub(r"\.ipynb.*$", "", raw)
        for name in sets:
            raw = raw.replace(name, "")
        raw = re.sub(r"\s*\(\d+\)$", "", raw).strip(" _-") or parts[0]
    name = unicodedata.normalize("NFC", raw).strip()
    safe = FORBIDDEN.sub("_", name).strip(".") or "_"
    if safe != name:  # two names must not become one
        safe += "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
    return safe
