"""The registry of lessons, `notebooks/lessons.toml`; run it to renew the README's table."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
FILES = sorted(NOTEBOOKS.glob("*.ipynb"))  # in all languages


@dataclass(frozen=True)
class Lesson:
    """One lesson; its number is its place."""

    number: int
    file: str
    title: str
    gives: str
    minutes: int
    core: bool
    translations: dict[str, str] = field(default_factory=dict)  # language → file

    def row(self) -> str:
        """Its line in the README's table."""
        link = f"[{self.number} {self.title}](notebooks/{self.file}.ipynb)"
        others = [f"[{name}](notebooks/{file}.ipynb)" for name, file in self.translations.items()]
        link = f"**{link}**" if self.core else link
        others = f" ({', '.join(others)})" if others else ""
        return f"| {link}{others} | {self.gives} | {self.minutes} |"


def lessons() -> list[Lesson]:
    """All lessons, in their order."""
    table = tomllib.loads((NOTEBOOKS / "lessons.toml").read_text(encoding="utf-8"))["lesson"]
    return [Lesson(number, **entry) for number, entry in enumerate(table)]


def with_table(readme: str) -> str:
    """The README with the table of the registry."""
    rows = ["| lesson | what you get | minutes |", "|---|---|---|", *(x.row() for x in lessons())]
    table = "\n".join(rows)
    return re.sub(r"^\| lesson \|.*?(?=\n\n)", lambda _: table, readme, flags=re.M | re.S)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
