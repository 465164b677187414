"""Find what was handed in, by whom, and for which set, in folders as they are downloaded.

A student is a folder or a file: `student/set/notebook.ipynb` (nbgrader), `student/notebook.ipynb`,
`student.ipynb`, with folders of sets or of groups around them, and with what Moodle, Canvas,
Blackboard and Brightspace add to names. Names may have spaces and any letters.
"""

import hashlib
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

# Only what nbgrader's web pages and file names can both carry.
FORBIDDEN = re.compile(r"[^\w .,@()+'=&-]")
PLATFORMS = [  # the number is not the student's: it is another one for each set, or each file
    re.compile(r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_[a-z]+_?(?P<rest>.*)"),  # Moodle
    re.compile(  # Canvas
        r"(?P<name>.+?)(?:_LATE)?_(?P<id>\d+)(?:_question)?_\d+_(?P<rest>.+\.ipynb.*)"
    ),
    re.compile(r"(?P<id>.+_(?P<name>[^_]+))_attempt_[\d-]+_?(?P<rest>.*)"),  # Blackboard
    re.compile(r"(?P<id>\d+)-\d+ - (?P<name>.+?) - \w+ \d+, \d{4} .*"),  # Brightspace
]
COPY = re.compile(r"^copy of +|([\s-]+copy *\d*)?(\s*\(\d+\))?$", re.I)  # what programs call one
# What people call versions; such a name is nobody's.
VERSION = re.compile(
    r"[\W_\d]*((untitled|copy|of|new|old|final|draft|version|v|try|attempt|earlier|solution|answer"
    r"|s(?=\W*\d)|notebook|submission|exercise|homework|hw|set|week|my)s?[\W_\d]*)*",
    re.I,
)
PACKED = (".zip", ".7z", ".rar", ".tar", ".gz", ".tgz")
TRACES = (".", "__MACOSX")  # of programs; nobody handed these in


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
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    parts = {path: path.relative_to(folder).parts for path in files}
    files = [path for path in files if not any(part.startswith(TRACES) for part in parts[path])]
    packed = [path for path in files if path.suffix.lower() in PACKED]
    paths = [path for path in files if ".ipynb" in path.name.lower() and path not in packed]
    names = {path: only or set_of(path, folder, sets) for path in paths}
    people = People(folder, names, sets)
    found: dict[tuple[str, str | None], list[Path]] = defaultdict(list)
    for path, student in people.students.items():
        found[student, names[path]].append(path)
    problems = [*people.problems]
    counts = Counter(name for _, name in found if name)
    likely = counts.most_common(1)[0][0] if counts else None
    submissions = []
    for (student, name), own in found.items():
        notes, places = [], ", ".join(str(path.relative_to(folder)) for path in own)
        if name is None:
            if likely is None or (student, likely) in found:
                problems.append(f"{places}: it does not say which set it is; use --set")
                continue
            name = likely
            notes.append(f"The file does not say which set it is; {name} was assumed.")
        newest = max(own, key=lambda path: (path.stat().st_mtime, path.name))
        if len(own) > 1:
            notes.append(f"Of {len(own)} files, the newest was graded: {newest.name}.")
            problems.append(
                f"{student}, {name}: of {places} the newest was graded; if these are several "
                f"people's, pass the folder {newest.parent}"
            )
        submissions.append(Submission(student, name, newest, notes))
    problems += [f"{path.relative_to(folder)}: not opened; unpack it first" for path in packed]
    for path in sorted(place for parent in people.parents for place in parent.iterdir()):
        empty = not any(other.is_relative_to(path) for other in [*paths, *packed])
        if empty and not path.name.startswith(TRACES):
            problems.append(f"{path.relative_to(folder)}: there is no notebook")
    return Found(sorted(submissions, key=lambda s: (s.set, s.student)), problems)


@cache
def spelled(name: str) -> re.Pattern:
    """The name of a set as people write it: with spaces or dashes, or in capitals."""
    return re.compile(re.escape(name).replace("_", r"[\W_]+"), re.I)


def set_of(path: Path, folder: Path, sets: dict[str, set[str]]) -> str | None:
    """The set of a file, by its folders, its name, or the functions that stand in it."""
    *folders, file = path.relative_to(folder).parts
    for part in (*reversed(folders), file):
        if named := [name for name in sets if spelled(name).search(part)]:
            return named[0]
    try:
        text = path.read_bytes().replace(b"\0", b"").decode("utf-8", "replace")
    except OSError:
        return None
    hits = {
        name: sum(bool(re.search(rf"\b(?:def|class) {f}\b|\b{f} *=", text)) for f in functions)
        for name, functions in sets.items()
    }
    best = max(hits, key=hits.get)
    return best if hits[best] else None


class People:
    """Whose file each is: of the first folder that is not one of a set or of several people."""

    def __init__(self, folder: Path, names: dict[Path, str | None], sets: dict) -> None:
        """`names`: file → its set."""
        self.folder, self.names, self.sets = folder, names, sets
        self.problems: list[str] = []
        self.parents = {folder}  # the folders in which each entry should be somebody's
        self.students: dict[Path, str] = {}
        people = {path: found for path in names if (found := self.person(path))}
        ids: dict[tuple, set] = defaultdict(set)
        for path, (place, name, number) in people.items():
            ids[name, names[path]].add(number or place)
        for path, (_, name, number) in people.items():
            if number and len(ids[name, names[path]]) > 1:
                self.problems.append(
                    f"{name}, {names[path]}: two of this name, told apart by {number}"
                )
                name = f"{name}_{number}"
            self.students[path] = safe(name)

    def person(self, path: Path) -> tuple[Path, str, str] | None:
        """A student's folder or file, the name and the platform's number in it; None: not sure."""
        places = [p for p in (*reversed(path.parents), path) if self.folder in p.parents]
        named = [(place, *self.read(place)) for place in places]
        for place, name, number in named:
            if name and number:
                return place, name, number
        for place, name, number in named:
            if place == path:
                return place, name or place.name, number
            if name and not self.is_shared(place):
                if self.stands_alone(place, path):
                    where = path.relative_to(self.folder)
                    self.problems.append(
                        f"{where}: not graded, because it could be {name}'s or that of somebody "
                        f"in {name}; pass the folder that holds the students"
                    )
                    return None
                return place, name, number
            self.parents.add(place)
        raise AssertionError("a path ends in a file")

    def read(self, place: Path) -> tuple[str, str]:
        """The name of somebody in the name of a file or folder, and a platform's number."""
        raw, number = unicodedata.normalize("NFC", place.name), ""
        for pattern in PLATFORMS:
            if match := pattern.fullmatch(raw):
                raw, number = match["name"], match["id"]
        if place in self.names:
            raw = re.sub(r"\.ipynb.*$", "", raw, flags=re.I)
        for name in self.sets:
            raw = spelled(name).sub("", raw)
        return COPY.sub("", raw).strip(" _-"), number

    def inside(self, place: Path) -> set[Path]:
        """What in a folder holds or is a notebook."""
        paths = [path for path in self.names if place in path.parents]
        return {place / path.relative_to(place).parts[0] for path in paths}

    def is_shared(self, place: Path) -> bool:
        """Whether a folder holds several people, or a folder that does, or is beside such a one."""
        children = self.inside(place)
        if len(children) != 1:
            return self.are_people(children)
        (only,) = children
        if only in self.names:
            return self.is_marked(only) and self.is_name(only) and not self.is_name(place)
        beside = [self.inside(other) for other in self.inside(place.parent) - {place}]
        several = self.is_name(only) and any(map(self.are_people, beside))
        return several or self.is_shared(only)

    def are_people(self, children: set[Path]) -> bool:
        """Whether files or folders beside each other have several names for one set."""
        for name in set(self.names.values()):
            paths = [path for path, other in self.names.items() if other == name]
            own = {c for c in children if any(path.is_relative_to(c) for path in paths)}
            named = {self.read(child)[0] for child in own if self.is_name(child)}
            files, homes = own & self.names.keys(), {child.parent for child in own}
            weeks = not any(map(self.is_name, homes))
            sure = weeks or all(map(self.is_marked, files))
            if len(named) > (1 if sure else 2) and (weeks or not self.are_repeated(own - files)):
                return True
        return False

    def is_marked(self, path: Path) -> bool:
        """Whether a file's name says which set it is."""
        return bool(self.names[path] and spelled(self.names[path]).search(path.name))

    def is_name(self, place: Path) -> bool:
        """Whether the name of a file or folder could be somebody's."""
        return not VERSION.fullmatch(self.read(place)[0])

    def are_repeated(self, children: set[Path]) -> bool:
        """Whether other folders hold the same names: then they are versions or weeks."""
        beside = {p for c in children for p in self.inside(c.parent.parent) if p != c.parent}
        return any((other / child.name).is_dir() for other in beside for child in children)

    def stands_alone(self, place: Path, path: Path) -> bool:
        """Whether all is in one folder, and in another one in it: who is the student?"""
        inside = [parent for parent in path.parents if place in parent.parents]
        return self.inside(self.folder) == {place} and any(map(self.is_name, inside))


def safe(name: str) -> str:
    """A name that nbgrader and file systems can carry."""
    name = name.strip()
    result = FORBIDDEN.sub("_", name).strip(".") or "_"
    if result != name:  # two names must not become one
        result += "-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:6]
    return result
