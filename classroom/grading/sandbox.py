"""What keeps a student's code from the network, from other people's work and from the machine.

Linux can give a process its own network, processes and mounts without root ("namespaces"). Where
that is not allowed, weaker levels are left; `find` takes the strongest that works and says which.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from make_exercises import ROOT

UNSHARE = ["unshare", "--user", "--map-root-user", "--net"]
ALONE = [*UNSHARE, "--pid", "--mount", "--mount-proc", "--fork", "--kill-child"]
HIDDEN = "no network, no other processes, solutions and submissions hidden"
LEVELS = {  # what student code cannot do → how it is started, what it cannot write
    f"{HIDDEN}, files read-only": (ALONE, ["/", str(ROOT)]),
    f"{HIDDEN}, project read-only": (ALONE, [str(ROOT)]),
    "no network; student code can read and write files as you can": (UNSHARE, None),
    "networking off for Python's own sockets only; student code can do all that you can": (
        [],
        None,
    ),
}


@dataclass(frozen=True)
class Limits:
    """What one submission may use; each is an option of `make grade`."""

    seconds: int = field(default=60, metadata={"help": "for one cell"})  # computing or asleep
    total: int = field(default=300, metadata={"help": "seconds for one notebook"})
    memory: int = field(default=2 * 10**9, metadata={"help": "bytes that one process may allocate"})
    # Pictures may have ten times as many.
    output: int = field(default=100_000, metadata={"help": "characters that one cell may print"})


@dataclass(frozen=True)
class Sandbox:
    """How kernels are started. `level` says in words what they cannot do."""

    level: str
    limits: Limits
    hidden: tuple[Path, ...]

    def command(self, *command: str) -> list[str]:
        """The command, tied up."""
        prefix, frozen = LEVELS[self.level]
        limits = {
            "RLIMIT_CORE": 0,
            "RLIMIT_FSIZE": 10**8,  # one file
            "RLIMIT_CPU": self.limits.total + 60,  # if the grader itself is killed
        }
        if sys.platform == "linux":  # elsewhere it would count what is merely reserved
            limits["RLIMIT_DATA"] = self.limits.memory
        settings = {
            "mounts": frozen is not None,
            "frozen": frozen or [],
            "hidden": [str(path) for path in self.hidden if path.is_dir() and not needed(path)],
            "limits": limits,
        }
        kernel = str(Path(__file__).with_name("kernel.py"))
        return [*prefix, sys.executable, kernel, json.dumps(settings), *command]


def needed(folder: Path) -> bool:
    """Whether Python or the project lies in a folder."""
    return any(Path(place).is_relative_to(folder) for place in (ROOT, sys.prefix))


def environment(folder: Path) -> dict[str, str]:
    """Environment variables for student code: none of yours except the path; home is `folder`."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    paths = [ROOT / "tools" / "offline", ROOT, ROOT / "classroom"]
    return {
        **kept,
        **dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"), str(folder)),
        **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
        **{"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"},
        "GOMP_SPINCOUNT": "0",
    }


def find(limits: Limits, hidden: list[Path]) -> Sandbox:
    """The strongest sandbox that works here."""
    for level in LEVELS:
        sandbox = Sandbox(level, limits, tuple(hidden))
        with tempfile.TemporaryDirectory() as folder, suppress(OSError):  # there is no unshare
            touch = f"open({os.path.join(folder, 'x')!r}, 'w')"
            command = sandbox.command(sys.executable, "-c", touch)
            if not subprocess.run(command, cwd=folder, capture_output=True).returncode:
                return sandbox
    raise RuntimeError("student code cannot be started here, not even without a sandbox")
