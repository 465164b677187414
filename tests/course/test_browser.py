"""Every lesson in JupyterLab as a reader sees it: opened, run and drawn in Chromium.

JupyterLab gives the page its application object (`--expose-app-in-browser`). Waiting for its
promises and reading its model is reliable; waiting for what the screen looks like was not.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import urlopen

import nbformat
import pytest

from icnn.course import explore
from icnn.course.explore._explorer import Slider

if TYPE_CHECKING:
    from playwright.sync_api import Page

NOTEBOOKS = Path(__file__).resolve().parent.parent.parent / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
# Nobody waits that long on a machine that does nothing else.
SECONDS_TO_START = 180
SECONDS_TO_RUN = 900
SECONDS_TO_ANSWER = 30  # an explorer, to a key; a tenth of one where nothing else runs

OPEN = """async (name) => {
    const app = window.jupyterapp;
    await app.started;
    await app.restored;
    const panel = await app.commands.execute('docmanager:open', {path: name});
    await panel.context.ready;
    await panel.revealed;
    await panel.sessionContext.ready;
    await panel.sessionContext.session.kernel.info;
    window.panel = panel;
}"""
# The promise of the command is kept when every cell is done, or one has failed.
RUN = """async () => {
    const commands = window.jupyterapp.commands;
    await commands.execute('notebook:clear-all-cell-outputs');
    commands.execute('notebook:run-all-cells').finally(() => { window.finished = true; });
}"""
CELLS = """() => [...window.panel.content.model.cells].map(cell => cell.toJSON())"""
FOLDED = "() => window.panel.content.widgets.filter(cell => cell.outputHidden).length"
# Far from the screen a cell is not in the page: bring each one there, and let its pictures decode.
PICTURES = """async () => {
    const pictures = [];
    for (const [number, cell] of window.panel.content.widgets.entries()) {
        if (cell.outputHidden) cell.outputHidden = false;  // a reader opens what is folded
        await window.panel.content.scrollToItem(number, 'center');
        for (const image of cell.node.querySelectorAll('.jp-OutputArea img')) {
            await image.decode().catch(() => {});
            const drawn = image.isConnected && image.naturalWidth > 0 && image.width > 0;
            pictures.push(drawn ? image.alt : `not drawn: ${image.alt}`);
        }
    }
    return pictures;
}"""
# MathJax leaves its dollar signs where it finds no formula, and marks what it cannot read. It sets
# formulas a little after the text around them is there: give it a minute.
UNSET_FORMULAS = """async () => {
    const dollars = "count(.//*[contains(@class, 'jp-RenderedMarkdown')]"
                    + "//text()[contains(., '$')][not(ancestor::code)])";
    const type = XPathResult.NUMBER_TYPE;
    const unset = () => window.panel.content.widgets.filter(cell =>
        document.evaluate(dollars, cell.node, null, type).numberValue > 0
        || cell.node.querySelector('mjx-merror, mjx-mtext[style*=red]'));
    for (let tries = 0; tries < 600 && unset().length > 0; tries++) {
        await new Promise(resolve => setTimeout(resolve, 100));
    }
    return unset().map(cell => cell.model.sharedModel.getSource());
}"""
# From a key to the frame that shows the new picture, and how far anything in the page jumps.
STOPWATCH = """() => {
    let pressed;
    Object.assign(window, {milliseconds: [], jumps: 0});
    document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    new PerformanceObserver(list => {
        const ours = entry => entry.sources.some(it => it.node?.closest?.('.icnn-explorer'));
        for (const entry of list.getEntries().filter(ours)) window.jumps += entry.value;
    }).observe({type: 'layout-shift'});
    const picture = document.querySelector('.icnn-picture');
    new MutationObserver(async () => {
        await picture.querySelector('img')?.decode();
        requestAnimationFrame(() => window.milliseconds.push(performance.now() - pressed));
    }).observe(picture, {childList: true, subtree: true});
}"""
STOP = "() => window.jupyterapp.serviceManager.sessions.shutdownAll()"


@dataclass
class Lab:
    """A running JupyterLab: where it is, the word that opens it, and its notebooks."""

    url: str
    token: str
    folder: Path

    def address(self, name: str) -> str:
        """A notebook in a workspace of its own, where nothing from before is restored."""
        return f"{self.url}/lab/workspaces/{Path(name).stem}/tree/{name}?token={self.token}"


@dataclass
class Visit:
    """A lesson in the browser, what went wrong in the page, and the hosts it asked."""

    page: Page
    problems: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def listen(self) -> None:
        """Take note of errors and requests from now on."""
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda it: it.type == "error" and self.problems.append(it.text))
        self.page.on("websocket", lambda it: self.hosts.add(urlsplit(it.url).hostname))
        self.page.on("request", lambda it: self.hosts.add(urlsplit(it.url).hostname))

    def open(self, lab: Lab, name: str) -> None:
        """Show a notebook, and wait until its kernel answers."""
        self.page.goto(lab.address(name), timeout=1000 * SECONDS_TO_START)
        self.page.wait_for_function("window.jupyterapp", timeout=1000 * SECONDS_TO_START)
        self.page.evaluate(f"name => {{ ({OPEN})(name); }}", name)  # not awaited: it may fail
        self.page.wait_for_function("window.panel", timeout=1000 * SECONDS_TO_START)

    def run(self) -> None:
        """Run all cells, and wait until the last one is done."""
        self.page.evaluate("() => { window.finished = false; }")
        self.page.evaluate(RUN)
        self.page.wait_for_function("window.finished", timeout=1000 * SECONDS_TO_RUN, polling=500)

    def code_cells(self) -> list[dict]:
        """The code cells with their outputs, as they are now."""
        return [cell for cell in self.page.evaluate(CELLS) if cell["cell_type"] == "code"]

    def check_what_is_seen(self) -> None:
        """Every picture of the outputs is drawn, and every formula could be read."""
        pictures = self.page.evaluate(PICTURES)
        expected = str([cell["outputs"] for cell in self.code_cells()]).count("<img ")
        assert len(pictures) >= expected > 0
        assert not [alt for alt in pictures if alt.startswith("not drawn")]
        assert not self.page.evaluate(UNSET_FORMULAS)


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab on a copy of the notebooks, with a home of its own."""
    home = tmp_path_factory.mktemp("home")
    folder = shutil.copytree(NOTEBOOKS, home / "notebooks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--allow-root"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}"]
    places = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    environment = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / "ipython")}
    environment |= {f"JUPYTER_{place}": str(home / place.lower()) for place in places}
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            started = Lab(f"http://127.0.0.1:{port}", token, folder)
            wait_for(started, server, log)
            yield started
        finally:
            server.terminate()
            server.wait(timeout=30)


def wait_for(lab: Lab, server: subprocess.Popen, log: Path) -> None:
    """Return when the server answers; fail with its log when it does not."""
    for _ in range(4 * SECONDS_TO_START):
        try:
            urlopen(f"{lab.url}/api?token={lab.token}", timeout=5).close()
            return
        except OSError:
            if server.poll() is not None:
                break
            time.sleep(0.25)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def visit(lab, chromium, request) -> Iterator[Visit]:
    """The lesson that the test's parameter names, open in JupyterLab with its kernel ready."""
    visit = Visit(chromium.new_page(viewport={"width": 1400, "height": 900}))
    visit.listen()
    visit.open(lab, f"{request.param}.ipynb")
    yield visit
    visit.page.evaluate(STOP)
    visit.page.close()


@pytest.mark.parametrize("visit", LESSONS, indirect=True)
def test_a_lesson_opens_with_its_folds_and_pictures(visit) -> None:
    tags = [cell["metadata"].get("tags", []) for cell in visit.code_cells()]
    assert visit.page.evaluate(FOLDED) == sum("hide-output" in some for some in tags)
    visit.check_what_is_seen()


@pytest.mark.parametrize("visit", LESSONS, indirect=True)
def test_a_lesson_runs_from_top_to_bottom(visit) -> None:
    visit.run()
    cells = visit.code_cells()
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    visit.check_what_is_seen()
    assert visit.hosts == {"127.0.0.1"}
    assert not visit.problems


def seen(visit: Visit) -> tuple[str, str]:
    """The alt text of an explorer's picture, and its numbers."""
    visit.page.locator(".icnn-picture img").wait_for()
    alt = visit.page.locator(".icnn-picture img").get_attribute("alt")
    return alt, visit.page.locator(".icnn-picture p").inner_text().strip()


@pytest.mark.parametrize("name", explore.__all__)
def test_an_explorer_is_worked_with_the_keyboard(lab, chromium, record_property, name) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect

    explorer = importlib.import_module(f"icnn.course.explore._{name}").EXPLORER
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cell = nbformat.v4.new_code_cell(f"import icnn\n\nicnn.explore.{name}()")
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, lab.folder / f"explore_{name}.ipynb")
    visit = Visit(chromium.new_page(viewport={"width": 1400, "height": 900}))
    visit.listen()
    visit.open(lab, f"explore_{name}.ipynb")
    visit.run()

    state = explorer.start()
    assert seen(visit) == explorer.picture(state)[1:]
    visit.page.evaluate(STOPWATCH)
    for control in explorer.controls:
        now = state[control.name]
        slider = isinstance(control, Slider)
        last = now == (control.top(state) if slider else control.options[-1])
        key, step = ("ArrowLeft", -1) if last else ("ArrowRight", 1)
        if slider:
            value = now + step * control.step
        else:
            value = control.options[control.options.index(now) + step]
        handle = visit.page.get_by_role("slider", name=control.label, exact=True)
        handle.press(key)
        state = explorer.move(state, control.name, value)
        expected = explorer.picture(state)
        alt = visit.page.get_by_role("img", name=expected.alt, exact=True)
        alt.wait_for(timeout=1000 * SECONDS_TO_START)
        assert seen(visit) == expected[1:]
        said = f"{value:.2f}" if isinstance(value, float) else str(value)
        expect(handle).to_have_attribute("aria-valuetext", said)
    milliseconds = statistics.median(visit.page.evaluate("window.milliseconds"))
    record_property("milliseconds", milliseconds)
    assert milliseconds < 1000 * SECONDS_TO_ANSWER
    assert visit.page.evaluate("window.jumps") < 0.001  # the number beside a slider may move
    read = Axe().run(visit.page, context=".icnn-explorer").response
    assert read["passes"] and not read["violations"]

    visit.run()  # goes on where one was
    assert seen(visit) == explorer.picture(state)[1:]
    assert visit.hosts == {"127.0.0.1"}
    assert not visit.problems
    visit.page.evaluate(STOP)
    visit.page.close()
