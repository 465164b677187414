"""Make .venv match requirements.lock; do nothing when it already does.

Run through `make`, or by hand (`python tools/set_up.py`), by any Python from 3.11 on; needs nothing
but the standard library. uv installs where it is there or can be had, pip where not.
An environment that is half made (an interrupted install, deleted files, another Python, a
folder that moved) is recognised by what is in it and mended.
"""

import csv
import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from importlib.metadata import PathDistribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "complete.txt"
SCHEME = {"base": str(VENV), "platbase": str(VENV)}
PACKAGES = Path(sysconfig.get_path("purelib", "venv", SCHEME))
SCRIPTS = Path(sysconfig.get_path("scripts", "venv", SCHEME))
PYTHON = SCRIPTS / ("python.exe" if sys.platform == "win32" else "python")
LOCK = ROOT / "requirements.lock"
FOR_NVIDIA_CARDS = re.compile(r"(cuda|nvidia|triton)\b")


def main() -> None:
    """Bring the environment up to date and record what it holds."""
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == inventory() and not damaged():
        return
    start = time.perf_counter()
    if not usable():
        say("making the environment in .venv")
        make_environment()
    for metadata in damaged():
        say(f"mending {metadata.name.removesuffix('.dist-info')}")
        shutil.rmtree(metadata)  # so that pip installs it again, over what is left of its files
    for leftover in PACKAGES.glob("~*"):
        shutil.rmtree(leftover)  # what an interrupted pip had put aside
    STAMP.unlink(missing_ok=True)
    say("installing what requirements.lock pins (the first time this takes some minutes)")
    install()
    pip("install", "--no-deps", "--no-build-isolation", "--editable", ".")
    STAMP.write_text(inventory(), encoding="utf-8")
    say(f"environment complete after {time.perf_counter() - start:.0f} s")


def usable() -> bool:
    """Whether .venv was made here, by the Python that runs this file, and has all of its pip."""
    settings, pips = VENV / "pyvenv.cfg", list(PACKAGES.glob("pip-*.dist-info"))
    made_by = settings.read_text(encoding="utf-8").splitlines() if settings.is_file() else []
    # If the folder was moved or copied, scripts inside still name the old one.
    here = any(line.endswith(f" {VENV}") for line in made_by) and PYTHON.exists()
    same = f"version = {'.'.join(map(str, sys.version_info[:3]))}" in made_by
    return here and same and bool(pips) and all(map(is_whole, pips))


def make_environment() -> None:
    """Create .venv from nothing."""
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(
            "Could not make a virtual environment. On Debian and Ubuntu install the package\n"
            "python3-venv; elsewhere install Python with its venv and ensurepip modules."
        )


def damaged() -> list[Path]:
    """Metadata folders of installed packages of which at least one file is missing."""
    return [folder for folder in sorted(PACKAGES.glob("*.dist-info")) if not is_whole(folder)]


def is_whole(metadata: Path) -> bool:
    """Whether every file that the package's RECORD lists is there (bytecode may be missing)."""
    record = PathDistribution(metadata).read_text("RECORD") or ""
    names = [row[0] for row in csv.reader(record.splitlines()) if row]
    return names != [] and all((PACKAGES / n).exists() for n in names if not n.endswith(".pyc"))


def install() -> None:
    """Everything that is locked; for a CPU build of torch without what only NVIDIA cards need."""
    locked = re.split(r"\n(?=\w)", LOCK.read_text(encoding="utf-8"))
    if any(PACKAGES.glob("torch-*+cpu.dist-info")):
        locked = [one for one in locked if not FOR_NVIDIA_CARDS.match(one)]
    with tempfile.TemporaryDirectory() as folder:
        everything, uv_alone = Path(folder) / "all.txt", Path(folder) / "uv.txt"
        everything.write_text("\n".join(locked), encoding="utf-8")
        uv_alone.write_text("\n".join(one for one in locked if one.startswith("uv==")), "utf-8")
        if not uv_installs(everything, uv_alone):
            pip("install", "--require-hashes", "--requirement", str(everything))


def uv_installs(everything: Path, uv_alone: Path) -> bool:
    """Whether uv could do it; it knows nothing of pip's settings, so it may not find an index."""
    uv = shutil.which("uv")
    if uv is None:
        command = [PYTHON, "-m", "pip", "--quiet", "install", "--requirement", uv_alone]
        subprocess.run(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        uv = SCRIPTS / ("uv.exe" if sys.platform == "win32" else "uv")
    command = [uv, "pip", "install", "--quiet", "--python", PYTHON, "--require-hashes"]
    command += ["--compile-bytecode"]  # as pip does: else every kernel does, where none is kept
    try:
        return subprocess.run([*command, "--requirement", everything], cwd=ROOT).returncode == 0
    except OSError:
        return False


def inventory() -> str:
    """What the environment was made from, and what is in it."""
    sources = [(ROOT / name).read_bytes() for name in ("requirements.lock", "pyproject.toml")]
    digest = hashlib.sha256(b"\n".join(sources)).hexdigest()
    installed = sorted(folder.name for folder in PACKAGES.glob("*.dist-info"))
    return "\n".join([str(ROOT), sys.version, digest, *installed, ""])


def pip(*arguments: str) -> None:
    """Run the environment's pip: progress bars for a person, silence for a log."""
    quiet = [] if sys.stdout.isatty() else ["--quiet"]
    command = [PYTHON, "-m", "pip", "--disable-pip-version-check", *quiet, *arguments]
    if code := subprocess.run(command, cwd=ROOT).returncode:
        sys.exit(
            f"pip stopped with exit code {code}; its last lines above say why. Nothing is lost:\n"
            "run the same command again and it goes on from here (installing needs a network)."
        )


def say(message: str) -> None:
    """One line of progress."""
    print(f"[set-up] {message}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Run the same command again and it goes on from here.")
