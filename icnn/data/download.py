"""Files from public addresses: resumed where they broke off, checked, in place only when whole."""

import hashlib
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

from icnn._check_args import blaming


def fetch(url: str, path: Path, checksum: str, *, progress: bool = True) -> None:
    """Download a file from a public address, unless it is there already and right.

    What arrived is kept in `path` + ".part" and a broken download goes on from there; only a whole
    file with the right checksum gets its name. The checksum is "md5:…", "sha256:…", or "git:…", the
    name that git gives a file's content.

    Raises:
        ConnectionError: no answer; the message says which address and what can be done offline.
        ValueError: the file that arrived has another checksum; it is removed.
    """
    if path.is_file() and _matches(path, checksum):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _continue(url, part, progress)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise ConnectionError(
            f"could not download {url}: {error}. Try again, it goes on where it stopped; without a "
            f"network, bring the file from another machine and put it at {path}"
        ) from error
    if not _matches(part, checksum):
        part.unlink()
        raise ValueError(f"{url} has another checksum than {checksum}: it was removed, try again")
    part.replace(path)


def check_unpacks(folder: Path) -> None:
    """RuntimeError if this Python cannot keep the members of an archive inside a folder."""
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError(
            f"unpacking safely needs Python 3.11.4 or newer; or unpack the archive into {folder} "
            "yourself"
        )


def extract(archive: Path, folder: Path) -> None:
    """Unpack a tar archive whose members must all stay inside the folder.

    Raises:
        ValueError: the archive is damaged, or a member would be written outside the folder.
        RuntimeError: as `check_unpacks`.
    """
    check_unpacks(folder)
    leaves = blaming(f"{archive} holds a member that leaves {folder}", tarfile.FilterError)
    damaged = blaming(f"{archive} is damaged", tarfile.TarError, EOFError, OSError)
    with damaged, leaves, tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def _continue(url: str, part: Path, progress: bool) -> None:
    """Get the rest of a file; a server that cannot give a rest gives it from the start."""
    from tqdm.auto import tqdm

    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send
            return
        raise
    resumed = answer.status == 206
    have *= resumed
    total = int(answer.headers.get("Content-Length", 0)) + have or None
    bar = {"total": total, "initial": have, "desc": part.stem, "disable": not progress}
    with (
        answer,
        part.open("ab" if resumed else "wb") as file,
        tqdm.wrapattr(file, "write", **bar) as counted,
    ):
        shutil.copyfileobj(answer, counted)


def _matches(path: Path, checksum: str) -> bool:
    kind, wanted = checksum.split(":")
    start = hashlib.new("sha1" if kind == "git" else kind)
    if kind == "git":
        start.update(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: start).hexdigest() == wanted
