"""Check that the environment can run the series, and say so line by line.

Run through `make lab`, or by hand: `python tools/check_environment.py`. Every line ends in `ok`,
or in what is wrong and what mends it.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("torch", "torchvision", "numpy", "matplotlib", "jupyterlab", "ipywidgets")


def main() -> None:
    """Run all checks; exit 1 if one of them fails."""
    print("Environment check (every line should end in ok)")
    problems = []
    for name, found, problem in checks():
        print(f"  {name:<22}{found:<14}{problem or 'ok'}", flush=True)
        problems += [problem] if problem else []
    if problems:
        sys.exit("The environment is not complete.")


def checks() -> Iterator[tuple[str, str, str]]:
    """What is looked at, what was found, and what is wrong with it."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield "Python", python, "" if sys.version_info >= (3, 11) else "3.11 or newer is needed"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==([\w.+!-]+) \\$", lock, re.MULTILINE))  # of every system
    problems = {name: mismatch(name, pin) for name, pin in pins.items()}
    for name in SHOWN:
        yield name, pins[name], problems.pop(name)
    others = "; ".join(f"{name}: {problem}" for name, problem in problems.items() if problem)
    yield "other pinned packages", str(len(problems)), others
    import torch

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.square().sum().backward()  # the gradient of a sum of squares is twice its input
    wrong = x.grad.tolist() != [2.0, 4.0]
    yield "a gradient", str(x.grad.tolist()), "PyTorch gives a wrong gradient" if wrong else ""
    import icnn

    here = Path(icnn.__file__).resolve().parent.parent
    yield "icnn", icnn.__version__, "" if here == ROOT else f"imported from {here}, not {ROOT}"


def mismatch(name: str, pin: str) -> str:
    """What is wrong with an installed package, or nothing; a local label (+cpu) is not."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return "missing; install requirements.lock"
    return "" if found.split("+")[0] == pin else f"found {found}; install requirements.lock"


if __name__ == "__main__":
    main()
