"""Files that are whole: shipped ones are checked before they are used, others replaced at once."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"
CHECKSUMS = "SHA256SUMS"  # one in each folder, in the format of `sha256sum`
HELP = "get it back with `git checkout -- data`, or clone the repository again"


def read_verified(path: Path) -> io.BytesIO:
    """The content of a shipped file; an error if its checksum is missing or wrong."""
    sums = path.parent / CHECKSUMS
    for needed in (path, sums):
        if not needed.is_file():
            raise FileNotFoundError(f"{needed} is missing: {HELP}")
    listed = dict(reversed(line.split("  ", 1)) for line in sums.read_text().splitlines())
    if path.name not in listed:
        raise ValueError(f"{path.name} is not listed in {sums}: {HELP}")
    content = path.read_bytes()
    if _sha256(content) != listed[path.name]:
        raise ValueError(f"{path} is truncated or was changed (wrong checksum): {HELP}")
    return io.BytesIO(content)


def write_checksums(folder: Path) -> None:
    """List every file of a folder with its checksum."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != CHECKSUMS)
    lines = [f"{_sha256(p.read_bytes())}  {p.name}\n" for p in files]
    (folder / CHECKSUMS).write_text("".join(lines))


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path to write to; what was written whole takes the place of the file, in a folder made."""
    new = Path(f"{path}.new")
    new.parent.mkdir(parents=True, exist_ok=True)
    yield new
    new.replace(path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
