"""Check that the environment can run the series, and say so line by line.

Run through `make lab`, or by hand: `python tools/check_environment.py`. Every line ends in `ok`,
or in what is wrong and what mends it.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = ("torch", "torchvision", "numpy", "matplotlib", "jupyterlab", "ipywidgets")


def main() -> None:
    """Run all checks; exit 1 if one of them fails."""
    print("Environment check (every line should end in ok)")
    results = [check_python(), *check_versions(), check_torch(), check_package()]
    for name, found, problem in results:
        print(f"  {name:<22}{found:<14}{problem or 'ok'}")
    if any(problem for _, _, problem in results):
        sys.exit("The environment is not complete.")


def check_python() -> tuple[str, str, str]:
    """Python is new enough."""
    found = ".".join(map(str, sys.version_info[:3]))
    return "Python", found, "" if sys.version_info >= (3, 11) else "3.11 or newer is needed"


def check_versions() -> list[tuple[str, str, str]]:
    """Every pinned package is there in the pinned version; the main ones and all others at once."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pins = dict(re.findall(r"^([\w.-]+)==([\w.+!-]+) \\$", lock, re.MULTILINE))  # of every system
    problems = {name: mismatch(name, pin) for name, pin in pins.items()}
    lines = [(name, pins[name], problems.pop(name)) for name in SHOWN]
    summary = "; ".join(f"{name}: {problem}" for name, problem in problems.items() if problem)
    return [*lines, ("other pinned packages", str(len(problems)), summary)]


def mismatch(name: str, pin: str) -> str:
    """What is wrong with an installed package, or nothing; a local label (+cpu) is not."""
    try:
        found = version(name)
    except PackageNotFoundError:
        return "missing; install requirements.lock"
    return "" if found.split("+")[0] == pin else f"found {found}; install requirements.lock"


def check_torch() -> tuple[str, str, str]:
    """PyTorch computes: the gradient of a sum of squares is twice its input."""
    import torch

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    x.square().sum().backward()
    wrong = x.grad.tolist() != [2.0, 4.0]
    return "a gradient", str(x.grad.tolist()), "PyTorch gives a wrong gradient" if wrong else ""


def check_package() -> tuple[str, str, str]:
    """The package that is imported is the one beside this file."""
    import icnn

    here = Path(icnn.__file__).resolve().parent.parent
    return "icnn", icnn.__version__, "" if here == ROOT else f"imported from {here}, not {ROOT}"


if __name__ == "__main__":
    main()
