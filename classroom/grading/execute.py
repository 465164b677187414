"""Run one notebook in the sandbox, so that whatever a cell does ends in outputs.

Time is what a cell computes or sleeps; waiting for a core on a busy machine is nobody's fault.
A cell that takes too long is interrupted, and if that does not help, its kernel is killed. Then a
new kernel runs the cells before it again. In both cases the cells behind it are left out up to the
next test: only the tests give points, so each of them is tried.
"""

import asyncio
import logging
import re
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
from jupyter_client.manager import AsyncKernelManager
from make_exercises import name_of, role
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_output

from grading.names import roles_of
from grading.sandbox import Limits, Sandbox, environment

LAST_WORDS = 3  # seconds that an interrupted cell has to stop
LOOK_EVERY = 0.2  # seconds
CUT = "… the output is too long and was cut here"
LOG = logging.getLogger("grading.kernel")
LOG.addHandler(logging.NullHandler())
LOG.propagate = False


class Client(NotebookClient):
    """One kernel's run of a notebook; keeps only as much output as is allowed."""

    def __init__(self, notebook: NotebookNode, limits: Limits, **options) -> None:
        # Time is the business of `Watch`.
        options |= {"timeout": None, "startup_timeout": 300, "iopub_timeout": 60, "log": LOG}
        off = {"record_timing": False, "store_widget_state": False}
        super().__init__(notebook, allow_errors=True, **off, **options)
        self.limits, self.written, self.quits = limits, 0, False
        self.on_cell_executed = self.look_at_reply

    def look_at_reply(self, *, cell: NotebookNode, execute_reply: dict, **_) -> None:
        """An error counts even if student code hid it; `exit()` ends the kernel."""
        reply = execute_reply["content"]
        shown = [output for output in cell.outputs if output.output_type == "error"]
        if reply["status"] == "error" and not shown:
            cell.outputs.append(error_output(reply.get("ename", "Error"), "it was not shown"))
        self.quits = any(part.get("source") == "ask_exit" for part in reply.get("payload", []))

    def process_message(self, msg: dict, cell: NotebookNode, cell_index: int):
        """Cut what is too long, before it is kept."""
        kind, content = msg["msg_type"], msg["content"]
        if kind == "stream":
            # nbgrader takes any text on stderr for a failed test; a warning is none.
            content["name"] = "stdout"
            room = self.limits.output - self.written
            self.written += len(content["text"])
            if room <= 0:
                return None
            if len(content["text"]) > room:
                content["text"] = f"{content['text'][:room]}\n{CUT}\n"
        elif kind == "error":
            content["evalue"] = content["evalue"][:2000]
            content["traceback"] = [part[-4000:] for part in content["traceback"][-20:]]
        elif kind in ("display_data", "update_display_data", "execute_result"):
            as_picture(content)
            size = sum(len(str(value)) for value in content["data"].values())
            self.written += size // 10
            if self.written > self.limits.output:
                content["data"] = {"text/plain": "… left out: too large"}
        return super().process_message(msg, cell, cell_index)


class Watch:
    """Stops a cell that takes too long: first it is interrupted, then its kernel is killed."""

    def __init__(self, manager: AsyncKernelManager, seconds: float) -> None:
        self.manager, self.seconds, self.spent = manager, seconds, 0.0
        self.interrupted = self.killed = False

    async def look(self) -> None:
        """Count seconds until there are too many, and once more after the interrupt."""
        with suppress(OSError, RuntimeError):  # it may end by itself meanwhile
            await self.count_to(self.seconds)
            self.interrupted = True
            await self.manager.interrupt_kernel()
            await self.count_to(self.seconds + LAST_WORDS)
            self.killed = True
            await self.manager.signal_kernel(signal.SIGKILL)

    async def count_to(self, most: float) -> None:
        """Wait until so many seconds were spent, computing or asleep."""
        then, before = time.monotonic(), self.computed()[0]
        while self.spent < most:
            await asyncio.sleep(LOOK_EVERY)
            now, (after, at_work) = time.monotonic(), self.computed()
            self.spent += after - before if at_work else max(now - then, after - before)
            then, before = now, after

    def computed(self) -> tuple[float, bool]:
        """Seconds that the kernel's processes have computed, and whether one of them wants to."""
        seconds, at_work = 0.0, False
        try:
            first = psutil.Process(self.manager.provisioner.pid)
            for process in (first, *first.children(recursive=True)):
                used = process.cpu_times()
                seconds += used.user + used.system
                at_work = at_work or process.status() == psutil.STATUS_RUNNING
        except psutil.Error:
            pass  # it has just ended
        return seconds, at_work


class Run:
    """The run of one notebook, over as many kernels as it takes."""

    def __init__(self, notebook: NotebookNode, blocked: dict[str, str], sandbox: Sandbox) -> None:
        """`blocked`: grade_id of a test → why it must not be run."""
        self.notebook, self.sandbox, self.limits = notebook, sandbox, sandbox.limits
        self.left_out: set[int] = set()  # cells that are not run (again)
        self.finished: set[int] = set()
        self.notes, self.spent = [], 0.0
        cells = notebook.cells
        theirs = (i for i, cell in enumerate(cells) if role(cell) or "student" in cell.metadata)
        self.first_own = next(theirs, 0)  # before it, slowness is not the student's
        code = [c for c in cells if c.cell_type == "code" and "student" not in c.metadata]
        answers = [name_of(cell) for cell in cells if role(cell) == "answer"]
        self.roles = roles_of([(role(cell) or "ours", cell.source) for cell in code], answers)
        for index, cell in enumerate(cells):
            if why := blocked.get(name_of(cell)):
                self.leave_out(index, why)

    async def start(self) -> list[str]:
        """Run all cells; returns what was out of the ordinary."""
        while not await self.go_through():
            pass
        return self.notes

    async def go_through(self) -> bool:
        """Run the cells in a new kernel; False if it had to be given up."""
        usual = tempfile.gettempdir()
        place = usual if len(usual) < 70 else "/tmp"  # names of sockets have some 100 letters
        options = {"prefix": "grade-", "dir": place, "ignore_cleanup_errors": True}
        with tempfile.TemporaryDirectory(**options) as folder:
            client = Client(self.notebook, self.limits, km=kernel_manager(self.sandbox, folder))
            try:
                await start_kernel(client, Path(folder), self.roles)
                for index, cell in enumerate(self.notebook.cells):
                    runs = cell.cell_type == "code" and index not in self.left_out
                    if runs and not await self.run_cell(client, index):
                        return False
            finally:
                if client.kc:
                    client.kc.stop_channels()
                if client.km.has_kernel:
                    await client.km.shutdown_kernel(now=True)
        return True

    async def run_cell(self, client: Client, index: int) -> bool:
        """Run one cell; False if its kernel is of no use any more."""
        cell, left = self.notebook.cells[index], self.limits.total - self.spent
        if left <= 0:
            if index not in self.finished:
                self.stop(index, f"the notebook had used up its {self.limits.total} seconds")
            return True
        allowed = self.limits.seconds if index >= self.first_own else self.limits.total
        most = min(allowed, left)
        client.written, watch = 0, Watch(client.km, most)
        watching = asyncio.create_task(watch.look())
        slow = f"it ran longer than {most:.0f} seconds"
        ended = "it ended Python itself (the kernel died)"
        try:
            await client.async_execute_cell(cell, index)
        except DeadKernelError:
            if asyncio.current_task().cancelling():  # nbclient takes Ctrl-C for a dead kernel
                raise asyncio.CancelledError from None
            why = f"{slow} and could not be interrupted" if watch.killed else ended
            return self.stop(index, why, alive=False)
        finally:
            watching.cancel()
            self.spent += watch.spent
        if client.quits:
            return self.stop(index, ended, alive=False)
        self.finished.add(index)
        self.look_at(index)
        return self.stop(index, slow) if watch.interrupted else True

    def look_at(self, index: int) -> None:
        """Note what a cell that ended by itself ran into."""
        outputs = self.notebook.cells[index].outputs
        errors = [output for output in outputs if output.output_type == "error"]
        if any(e.ename == "MemoryError" or "allocate memory" in e.evalue for e in errors):
            most = f"{self.limits.memory / 10**9:g} GB"
            self.note(f"{self.name(index)} asked for more memory than grading allows ({most}).")
        if any(CUT in output.get("text", "") for output in outputs):
            most = f"{self.limits.output:,} characters"
            self.note(f"{self.name(index)} printed more than {most}; the rest was cut.")

    def note(self, text: str) -> None:
        """Keep a note once, however often the cell is run again."""
        if text not in self.notes:
            self.notes.append(text)

    def stop(self, index: int, why: str, *, alive: bool = True) -> bool:
        """Note that a cell was stopped, and leave out what stands between it and the next test."""
        self.note(f"{self.name(index)} was stopped: {why}.")
        self.leave_out(index, f"This cell was stopped: {why}.")
        cell = self.notebook.cells[index]
        if "student" not in cell.metadata and role(cell) != "test":
            because = "Not run, because a cell of this task, further up, was stopped: "
            for behind in range(index + 1, self.next_test(index)):
                self.leave_out(behind, f"{because}{why}.")
        return alive

    def leave_out(self, index: int, why: str) -> None:
        """Do not run a cell (again), and let its output say why."""
        self.left_out.add(index)
        if self.notebook.cells[index].cell_type == "code":
            self.notebook.cells[index].outputs.append(error_output("Stopped", why))

    def next_test(self, index: int) -> int:
        """The first test behind a cell; the end, if there is none."""
        behind = range(index + 1, len(self.notebook.cells))
        tests = (i for i in behind if role(self.notebook.cells[i]) == "test")
        return next(tests, behind.stop)

    def name(self, index: int) -> str:
        """What to call a cell: by the next test behind it, which is that of its task."""
        cell = self.notebook.cells[index]
        if "student" in cell.metadata:
            return "A cell of your own"
        if role(cell):
            return f"The cell {name_of(cell)}"
        test = self.notebook.cells[self.next_test(index) :][:1]
        return f"A cell above {name_of(test[0])}" if test else "A cell at the end"


def error_output(name: str, text: str) -> NotebookNode:
    """An error in a cell, in red."""
    traceback = [f"\x1b[0;31m{name}\x1b[0m: {text}"]
    return new_output("error", ename=name, evalue=text, traceback=traceback)


def as_picture(content: dict) -> None:
    """Turn an <img> that holds its picture into the picture: pages allow no HTML of students."""
    html = content["data"].get("text/html", "")
    if picture := re.match(r"<img [^>]*src=\"data:image/png;base64,([\w+/=]+)\"[^>]*>\Z", html):
        alt = content["data"].get("text/plain", "")
        content["data"] = {"image/png": picture[1], "text/plain": alt}
        content["metadata"] = {"alt": " ".join(alt.split())}


def kernel_manager(sandbox: Sandbox, folder: str) -> AsyncKernelManager:
    """A manager whose kernel runs in the sandbox and talks through files in `folder`."""
    connection = str(Path(folder) / "kernel.json")
    manager = AsyncKernelManager(transport="ipc", connection_file=connection, log=LOG)
    manager.kernel_spec.argv = sandbox.command(
        *(sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"),
        "--IPKernelApp.parent_handle=0",  # the parent has another number inside
        "--ext=grading.names",
    )
    manager.kernel_spec.env = {}
    return manager


async def start_kernel(client: Client, folder: Path, roles: dict[str, str]) -> None:
    """Start the kernel; that it does not start is no fault of the student's."""
    for path in font_lists():
        shutil.copy(path, folder)
    own = {"cwd": str(folder), "env": {**environment(folder), **roles}}
    with open(folder / "kernel.log", "w+") as log:
        try:
            await client.async_start_new_kernel(**own, stdout=log, stderr=log)
            await client.async_start_new_kernel_client()
        except RuntimeError as error:
            log.seek(0)
            raise RuntimeError(f"{error}\n{log.read()[-2000:]}") from error


@cache
def font_lists() -> list[Path]:
    """Matplotlib's list of fonts, which it would otherwise make again for each notebook."""
    import matplotlib.font_manager

    return list(Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))
