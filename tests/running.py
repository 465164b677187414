"""How the tests run (one thread a process, networking off) and how they report."""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from queue import Empty

import nbval.plugin
import pytest

OFFLINE = Path(__file__).resolve().parent.parent / "tools" / "offline"
SECONDS_ALLOWED = defaultdict(lambda: 90, {"05_training": 180, "11_your_photographs": 180})

# Inherited by the processes that pytest-xdist starts and by the kernels of the notebooks.
THREADS = os.environ.get("ICNN_TEST_THREADS", "1")  # more: machines.py
os.environ.update(OMP_NUM_THREADS=THREADS, GOMP_SPINCOUNT="0")
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(OFFLINE), os.environ.get("PYTHONPATH")])
)
# Matplotlib with its own settings and its own list of fonts, for this run only: a list that another
# process left incomplete has every kernel say on stderr which font it misses. The first process
# makes it, before the others and the kernels read it.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _settings = tempfile.TemporaryDirectory(prefix="matplotlib-", ignore_cleanup_errors=True)
    os.environ["MPLCONFIGDIR"] = _settings.name
    importlib.import_module("matplotlib.font_manager")


def pytest_xdist_auto_num_workers() -> int:
    """One process for each core that we may use; beyond four they only wait for memory."""
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
    return min(4, len(ours))


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist chooses for itself
def pytest_cmdline_main(config: pytest.Config) -> None:
    """All cells of a notebook go to one process, however many there are: they share a kernel."""
    if getattr(config.option, "numprocesses", None) or getattr(config.option, "distload", False):
        config.option.dist, config.option.distload = "loadfile", False


class Kernel(nbval.plugin.RunningKernel):
    """The kernel of a notebook, as nbval has it, but that it has died is noticed within seconds."""

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        """The next message; RuntimeError if none can come any more."""
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while True:
            try:
                return super().get_message(stream, min(1, max(0, until - time.monotonic())))
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died while it ran this cell") from None
                if time.monotonic() >= until:
                    raise


nbval.plugin.RunningKernel = Kernel


@pytest.hookimpl(trylast=True)  # when the notebook has a kernel
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A cell behind one that ended its kernel is not run; nbval does so behind one that hangs."""
    if isinstance(item, nbval.plugin.IPyNbCell) and not item.parent.kernel.is_alive():
        pytest.xfail("the kernel of this notebook has ended")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One table: what ran, what passed, how long it took, and why anything was skipped."""
    seconds, outcomes = defaultdict(float), defaultdict(Counter)
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                file = report.nodeid.split("::")[0]
                seconds[file] += report.duration
                if outcome:  # a set-up or tear-down that went well has no outcome of its own
                    outcomes[file]["failed" if outcome == "error" else outcome] += 1
    lessons = sorted(file for file in outcomes if file.endswith(".ipynb"))
    tests = sorted(set(outcomes) - set(lessons))

    write = terminalreporter.write_line
    terminalreporter.section("summary")
    for title, files in (("lesson (its cells)", lessons), ("tests", tests)):
        write(f"{title:<34}{'passed':>8}{'failed':>8}{'skipped':>8}{'not run':>8}{'seconds':>9}")
        for file in files:
            name, kinds = Path(file).stem, ("passed", "failed", "skipped", "xfailed")
            counts = "".join(f"{outcomes[file][kind]:>8}" for kind in kinds)
            late = seconds[file] > SECONDS_ALLOWED[name] and files is lessons
            note = f"  longer than {SECONDS_ALLOWED[name]} s" if late else ""
            write(f"  {name:<32}{counts}{seconds[file]:>9.1f}{note}")
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    calls = [report for report in reports if getattr(report, "when", "") == "call"]
    notes = [note for report in calls for note in report.user_properties]
    if tried := sum(count for name, count in notes if name == "inputs"):
        write(f"{tried:,} generated inputs were tried")
    if times := [time for name, time in notes if name == "milliseconds"]:
        write(f"explorers answered a key after {min(times):.0f} to {max(times):.0f} ms")
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.items():
        write(f"skipped {count}: {reason.removeprefix('Skipped: ')}")
    whole = [lesson for lesson in lessons if set(outcomes[lesson]) == {"passed"}]
    failed = sum(count["failed"] for count in outcomes.values())
    write(
        f"{len(whole)} of {len(lessons)} lessons passed, in {sum(map(seconds.get, lessons)):.0f} s "
        f"altogether; {failed} failures in all"
    )
