"""The exercises: releases are what their sources give, nothing leaks, every task is complete.

That the sources run green from top to bottom and give the outputs saved in them, nbval tests: it
collects them with the lessons.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "classroom"))
import make_exercises as tool  # noqa: E402
from lessons import lessons  # noqa: E402

CHECKED = {
    "1_templates_and_masks": ["template_prior", "part_templates", "part_mask"],
    "2_mutual_information": ["fitness", "told_by_each", "told_whether_where"],
    "3_filter_loss": ["filter_loss", "score_gradient", "paper_gradient"],
    "4_interpretable_layer": ["masked_maps", "running_peak", "assign_categories"],
    "5_measuring": ["peaks", "location_instability", "part_tracking"],
    "6_analysing": ["dead_filters", "category_selectivity", "peak_spread"],
}
OPEN = {
    "1_templates_and_masks": ["two_opinions"],
    "2_mutual_information": ["useless_maps"],
    "3_filter_loss": ["half_way"],
    "4_interpretable_layer": ["MaskedLayer", "diagnose"],
    "5_measuring": ["steadiest_place", "turning_claims"],
    "6_analysing": ["worst_filter"],
}
SETS = sorted(CHECKED)
CARD = ("Function", "Takes", "Returns", "Difficulty", "Minutes", "Points")
HINTS = ["Hint 1: a nudge", "Hint 2: the idea", "Hint 3: almost the code"]


@cache
def read(folder: Path, name: str):
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


@pytest.fixture(params=SETS)
def name(request) -> str:
    return request.param


@pytest.fixture
def source(name):
    return read(tool.SOURCE, name)


@pytest.fixture
def release(name):
    return read(tool.RELEASE, name)


def role(cell) -> dict:
    return cell.metadata.get("nbgrader", {})


def graded(notebook) -> dict:
    """The cells that nbgrader knows, by name."""
    return {role(cell).grade_id: cell for cell in notebook.cells if role(cell)}


def region(text: str, kind: str) -> str:
    return "".join(re.findall(rf"BEGIN {kind}\n(.*?)^[^\n]*END {kind}", text, re.S | re.M))


def telling(text: str) -> set[str]:
    """Lines that say something: not a closing bracket or a bare keyword."""
    return {line.strip() for line in text.splitlines() if len(line.strip()) > 12}


def solution_of(notebook) -> set[str]:
    return set().union(*(telling(region(cell.source, "SOLUTION")) for cell in notebook.cells))


def secrets(notebook) -> set[str]:
    """Every line that a student must not see before the deadline."""
    lines = solution_of(notebook)
    for cell in notebook.cells:
        lines |= telling(region(cell.source, "HIDDEN TESTS"))
        if role(cell).get("solution") and cell.cell_type == "markdown":
            lines |= telling(cell.source)
    return lines


def sections(notebook) -> dict[str, list]:
    """Title of a task or question → its cells."""
    found: dict[str, list] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (title := re.match(r"## (.+)", cell.source)):
            found[title[1]] = []
        if found:
            list(found.values())[-1].append(cell)
    return found


def tasks(notebook) -> dict[str, list]:
    return {title: cells for title, cells in sections(notebook).items() if title.startswith("Task")}


def row(text: str, key: str) -> str:
    """What stands in a table beside **key**."""
    return re.search(rf"^\| \*\*{key}\*\* \| (.+?) \|$", text, re.M)[1]


def number(text: str) -> int:
    return int(re.match(r"\d+", text)[0])


def points(cells) -> int:
    return sum(role(cell).get("points", 0) for cell in cells)


# --- what is there -------------------------------------------------------------------------------


def test_all_sets_are_there() -> None:
    for folder in (tool.SOURCE, tool.RELEASE):
        assert sorted(path.stem for path in folder.glob("*.ipynb")) == SETS


def test_the_sources_are_among_the_notebooks_that_the_tests_run(request) -> None:
    collected = [tool.SOURCE, *tool.SOURCE.parents]
    assert ROOT / "notebooks" in collected and "notebooks" in request.config.getini("testpaths")
    ignored = (tool.SOURCE.parent / "conftest.py").read_text("utf-8")
    assert 'collect_ignore_glob = ["release/*.ipynb"]' in ignored


def test_sources_were_run_from_top_to_bottom_and_all_is_green(source) -> None:
    cells = [cell for cell in source.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert "NO, it is" not in nbformat.writes(source)


# --- releases ------------------------------------------------------------------------------------


def test_releases_are_what_the_sources_give() -> None:
    assert tool.drift(tool.SOURCE, tool.RELEASE) == []


def test_the_answers_are_what_the_sources_give(source) -> None:
    page = tool.ANSWERS.read_text("utf-8")
    assert page == tool.answers(tool.SOURCE)
    assert not [line for line in solution_of(source) if line not in page]
    for title in sections(source):
        assert f"### {title}\n\n<details>" in page
    assert not re.search("SOLUTION|HIDDEN TEST|Marking guide", page)


def test_no_solution_hidden_test_or_marking_guide_leaks(name, source, release) -> None:
    shown = {line.strip() for cell in release.cells for line in cell.source.splitlines()}
    assert len(secrets(source)) > 40
    assert not secrets(source) & shown
    text = (tool.RELEASE / f"{name}.ipynb").read_text("utf-8")
    assert not re.search("SOLUTION|HIDDEN TEST|Marking guide|Model answer", text)


def test_hints_hold_no_line_of_the_solution(source) -> None:
    prose = "\n".join(c.source for c in source.cells if c.cell_type == "markdown" and not role(c))
    assert not [line for line in solution_of(source) if line in prose]


def test_a_release_has_no_outputs_and_its_tests_are_locked(release) -> None:
    for cell in release.cells:
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None
        if role(cell):
            assert cell.metadata.deletable is False
            assert cell.metadata.get("editable", True) is not role(cell)["locked"]


def test_a_release_shows_what_the_right_answer_gives(source, release) -> None:
    wanted = [cell for cell in source.cells if "target" in cell.metadata.get("tags", [])]
    shown = [cell for cell in release.cells if "The right answer gives" in cell.source]
    assert len(wanted) == len(shown) == len(tasks(source))
    for cell, target in zip(wanted, shown, strict=True):
        pictures = [o for o in cell.outputs if "<img" in o.get("data", {}).get("text/html", "")]
        assert len(target.get("attachments", {})) == len(pictures)
        assert len(re.findall(r"!\[.{20,}\]\(attachment:", target.source)) == len(pictures)


def test_the_clearing_agrees_with_nbgrader(source, release) -> None:
    preprocessors = pytest.importorskip("nbgrader.preprocessors")
    theirs, resources = nbformat.from_dict(source), {}
    steps = ("ClearSolutions", "LockCells", "ClearOutput", "ClearHiddenTests", "ComputeChecksums")
    for step in steps:
        theirs, resources = getattr(preprocessors, step)().preprocess(theirs, resources)
    ours = [cell for cell in release.cells if not cell.id.endswith("-target")]
    assert [cell.source for cell in ours] == [cell.source for cell in theirs.cells]
    for mine, other in zip(ours, theirs.cells, strict=True):
        assert mine.metadata == other.metadata


def test_validate_notices_a_test_that_was_changed(release) -> None:
    validator = pytest.importorskip("nbgrader.validator").Validator()
    changed = nbformat.from_dict(release)
    assert validator._get_changed_cells(changed) == []
    tests = [cell for cell in changed.cells if role(cell).get("locked")]
    for cell in tests:
        cell.source += "\nassert True"
    assert validator._get_changed_cells(changed) == tests != []


def test_nbgrader_accepts_the_sources(name) -> None:
    pytest.importorskip("nbgrader")
    from nbgrader.nbgraderformat import reads

    reads((tool.SOURCE / f"{name}.ipynb").read_text("utf-8"), as_version=4)


# --- every task is complete ----------------------------------------------------------------------


def test_each_set_has_its_tasks_in_order(name, source) -> None:
    answers = [c for c in source.cells if role(c).get("solution") and c.cell_type == "code"]
    names = [role(cell).grade_id for cell in answers]
    assert names == CHECKED[name] + OPEN[name]
    assert len(tasks(source)) == len(names)
    for cell, task in zip(answers, names, strict=True):
        assert re.search(rf"^(def|class) {task}\(", cell.source, re.M)
        assert region(cell.source, "SOLUTION").strip()


def missing(cells) -> list[str]:
    """What a learner would look for in a task in vain."""
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    rows = [key for key in CARD if not re.search(rf"^\| \*\*{key}\*\* \| \S", text, re.M)]
    if rows:
        return rows
    folded = re.findall(r"<details><summary><b>(.+?)</b></summary>\n\n.+?</details>", text, re.S)
    findings = "<details><summary>What we found</summary>" in cells[-1].source
    rules = {
        "a goal": re.search(r"^\*\*Goal\.\*\* \S", text, re.M),
        "a worked example": "**Worked example" in text,
        "stars": re.match("★☆☆|★★☆|★★★", row(text, "Difficulty")),
        "minutes": re.match(r"\d+", row(text, "Minutes")),
        "points as its cells have": number(row(text, "Points")) == points(cells) > 0,
        "three folded hints": folded == HINTS and text.count("<details>") == 3 + findings,
        "a target": sum("target" in cell.metadata.get("tags", []) for cell in cells) == 1,
    }
    return [rule for rule, kept in rules.items() if not kept]


def test_each_task_has_all_that_the_learner_needs(source) -> None:
    assert {title: missing(cells) for title, cells in tasks(source).items() if missing(cells)} == {}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("**Goal.**", "Goal.", "a goal"),
        ("| **Takes** |", "| Takes |", "Takes"),
        ("**Worked example", "Example", "a worked example"),
        ("★☆☆", "easy", "stars"),
        ("| **Points** | 1 |", "| **Points** | 2 |", "points as its cells have"),
        ("Hint 2: the idea", "Hint 2", "three folded hints"),
        ("</details>", "</details><details></details>", "three folded hints"),
    ],
)
def test_an_incomplete_task_is_noticed(old, new, said) -> None:
    cells = [
        nbformat.from_dict(cell) for cell in next(iter(tasks(read(tool.SOURCE, SETS[0])).values()))
    ]
    assert old in cells[0].source
    cells[0].source = cells[0].source.replace(old, new)
    assert missing(cells) == [said]


def test_difficulty_rises(source) -> None:
    stars = [row(cells[0].source, "Difficulty").count("★") for cells in tasks(source).values()]
    assert stars[0] == 1 and stars[-1] == max(stars) >= 2


def test_minutes_and_points_add_up(source) -> None:
    opening = source.cells[0].source
    minutes = number(row(opening, "Minutes"))
    assert 45 <= minutes <= 75
    parts = [number(row(cells[0].source, "Minutes")) for cells in tasks(source).values()]
    for title, cells in sections(source).items():
        if title.startswith("Question"):
            parts.append(number(re.search(r"\((\d+) minutes", cells[0].source)[1]))
    assert minutes - 5 <= sum(parts) <= minutes
    assert number(row(opening, "Points")) == points(source.cells)


def test_each_set_asks_a_question_whose_marking_guide_the_teacher_has(source) -> None:
    questions = {t: cells for t, cells in sections(source).items() if t.startswith("Question")}
    assert questions
    for title, (question, answer) in questions.items():
        assert role(answer)["grade"] and role(answer)["solution"], title
        assert f"{role(answer).points} points" in question.source, title
        assert {"**Model answer.**", "**Marking guide.**"} <= set(
            re.findall(r"\*\*[^*]+\.\*\*", answer.source)
        )


def test_each_function_is_checked_at_once_and_graded_by_hidden_tests(name, source) -> None:
    cells, codes = graded(source), [c.source for c in source.cells if c.cell_type == "code"]
    for task in CHECKED[name] + OPEN[name]:
        test = cells[f"test_{task}"]
        assert role(test) == {
            **{"grade": True, "solution": False, "locked": True, "task": False},
            **{"schema_version": 3, "cell_type": "code"},
            **{"grade_id": f"test_{task}", "points": role(test).points},
        }
        assert region(test.source, "HIDDEN TESTS").count("assert") >= 1
        assert "assert" in test.source.split("### BEGIN HIDDEN TESTS")[0]
    for task in CHECKED[name]:
        assert f"check.{task}({task})" in codes
        assert "from icnn import check\n" in cells[f"test_{task}"].source


def test_there_is_a_checker_for_each_function(name) -> None:
    from icnn.course import check

    assert all(callable(getattr(check, task, None)) for task in CHECKED[name])


# --- what counts ---------------------------------------------------------------------------------

# A mistake in each solution: what stands there, and what a student might have written.
MISTAKES = {
    "template_prior": ("prior[:-1] =", "prior[1:] ="),
    "part_templates": ("(min=-1)", "(min=0)"),
    "part_mask": ("torch.relu(", "("),
    "two_opinions": ("0.9 *", "0.1 *"),
    "fitness": (".flatten(-2).mT", ".mT.flatten(-2).mT"),
    "told_by_each": ("fitness.logsumexp(0)", "fitness.logsumexp(2, keepdim=True)"),
    "told_whether_where": ("scores[..., :-1], scores[..., -1]", "scores[..., 1:], scores[..., 0]"),
    "useless_maps": ("(parts + 3)", "(parts + 1)"),
    "filter_loss": ("(sharpness / size / scale)", "(sharpness / size * scale)"),
    "score_gradient": ("(surprise - typical)", "surprise"),
    "paper_gradient": (" / x.shape[1]", ""),
    "half_way": ("-0.5 *", "-0.4 *"),
    "masked_maps": (" * x)", ")"),
    "running_peak": (".max(2).values", ".mean(2)"),
    "assign_categories": (".mean(0) if", ".sum(0) if"),
    "MaskedLayer": ("return masked_maps(x)", "return x"),
    "diagnose": ("(pull * some).sum().abs()", "pull.sum().abs()"),
    "peaks": ("(row, column)", "(column, row)"),
    "location_instability": ("[:top]", ""),
    "part_tracking": (
        ".var(0).sum()\n                result",
        ".std(0).sum()\n                result",
    ),
    "steadiest_place": ("(row, column)\n", "(column, row)\n"),
    "turning_claims": (".all(0).any()", ".any(0).any()"),
    "dead_filters": (".any(1)", ".all(1)"),
    "category_selectivity": (" / member.sum(1, keepdim=True)", ""),
    "peak_spread": ("[:top]", ""),
    "worst_filter": (".argmin()", ".argmax()"),
}


@pytest.fixture
def always_passes(monkeypatch):
    """A check that finds nothing wrong, so that the hidden tests stand alone."""
    import icnn

    passed = SimpleNamespace(passed=True, status="passed", message="")
    names = [task for tasks in CHECKED.values() for task in tasks]
    everything = dict.fromkeys(names, lambda answer: passed)
    monkeypatch.setitem(sys.modules, "icnn.course.check", SimpleNamespace(**everything))
    monkeypatch.setattr(icnn, "check", SimpleNamespace(**everything), raising=False)
    matplotlib.use("agg")


def set_up(notebook) -> dict:
    """A namespace after all cells that are neither tests nor show anything."""
    space: dict = {}
    for cell in notebook.cells:
        shows = "show.figure" in cell.source or "print(" in cell.source
        test = role(cell).get("grade") or cell.source.startswith("check.")
        if cell.cell_type == "code" and not shows and not test:
            exec(cell.source, space)
    space["train"] = lambda layer, *_: space["icnn"].checkpoints.load("mask only")  # at once
    return space


def test_hidden_tests_accept_the_solution_and_no_mistake(name, source, always_passes) -> None:
    cells, space = graded(source), set_up(source)
    for task in CHECKED[name] + OPEN[name]:
        answer, test = cells[task].source, cells[f"test_{task}"].source
        right, wrong = MISTAKES[task]
        assert answer.count(right) >= 1, f"{task}: the solution has changed, so must its mistake"
        exec(test, space)
        exec(answer.replace(right, wrong), space)
        with pytest.raises((AssertionError, IndexError, RuntimeError)):
            exec(test, space)
        exec(answer, space)


@pytest.mark.parametrize(
    ("name", "task", "old", "new", "said"),
    [
        (SETS[0], "two_opinions", "0.9 * height\n", "0.3 * height\n", "at the peak fits best"),
        (SETS[0], "two_opinions", "x[0 if place > 2 else 2] = 0.9", "x[2, 1:] = 0.5", "a tie"),
        (SETS[0], "two_opinions", "0.9 * height", "height", "equally strong"),
        (SETS[0], "two_opinions", "zeros(3, 3)", "full((3, 3), -0.1)", "no negative values"),
        (SETS[0], "two_opinions", "return x", "return x[None]", "three rows and three columns"),
        (SETS[0], "two_opinions", "return x", "return x.flip(0, 1)", "belongs at unit 0, not 8"),
        (SETS[0], "two_opinions", "return x", "return 2 * x", "should be 3, not 6"),
        (SETS[0], "two_opinions", "variant=0", "variant=107", "a whole number"),
        (SETS[0], "two_opinions", "return x", "return", "a tensor, not None"),
        (SETS[0], "two_opinions", "return x", "return x / 0", "no NaN"),
        ("2_mutual_information", "useless_maps", "return spots", "return", "a tensor, not None"),
        ("2_mutual_information", "useless_maps", "+ 3)", "+ 1)", "2 step.s. .* more than 2"),
        (SETS[0], "two_opinions", "(variant=0):", "():\n    variant = 7", "keep the first line"),
        (
            *("2_mutual_information", "useless_maps", "(parts + 3) % 6", "parts.roll(9, 0)"),
            "to its part",
        ),
        ("3_filter_loss", "score_gradient", "0.0 if frozen else ", "", ""),
        ("3_filter_loss", "score_gradient", "if chosen is None", "if True", ""),
        ("3_filter_loss", "score_gradient", "0.0 if frozen", "-1.0 if frozen", ""),
        ("4_interpretable_layer", "running_peak", "max(fair, momentum)", "momentum", ""),
        ("4_interpretable_layer", "running_peak", "max(fair, momentum)", "fair", ""),
        ("4_interpretable_layer", "MaskedLayer", "0.05 * icnn", "0.0 * icnn", "below 0"),
        ("4_interpretable_layer", "MaskedLayer", "0.05 * icnn", "-0.05 * icnn", "below 0"),
        (
            *(
                "4_interpretable_layer",
                "MaskedLayer",
                "loss(self.maps",
                "loss(masked_maps(self.maps)",
            ),
            "take the maps before it",
        ),
        (
            "4_interpretable_layer",
            "MaskedLayer",
            "scale=floor",
            "scale=floor * 0 + 1",
            "not scaled",
        ),
        ("6_analysing", "worst_filter", "nan_to_num(9.0)", "nan_to_num(-9.0)", "it is dead now"),
    ],
)
def test_the_likeliest_mistakes_are_told(name, task, old, new, said, always_passes) -> None:
    source = read(tool.SOURCE, name)
    cells, space = graded(source), set_up(source)
    assert old in cells[task].source
    exec(cells[task].source.replace(old, new), space)
    with pytest.raises(AssertionError, match=said or None):
        exec(cells[f"test_{task}"].source, space)


LOOPS = """
def part_templates(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    positive = [template(n, (r, c), beta, tau) for r in range(n) for c in range(n)]
    return torch.stack([*positive, torch.full((n, n), -tau)])


def part_mask(x, *, beta=4.0):
    maps = x.reshape(-1, *x.shape[-2:])
    return torch.stack([mask(one, beta) for one in maps]).reshape(x.shape).to(x.dtype)
"""
LOOPS_WITHOUT_TORCH = """
def part_templates(n, *, beta=4.0, tau=None):
    tau, side = 0.5 / n**2 if tau is None else tau, range(n)
    level = lambda d: tau * max(1 - beta * d / n, -1)
    table = [
        [[level(abs(i - r) + abs(j - c)) for j in side] for i in side] for r in side for c in side
    ]
    return torch.tensor([*table, [[-tau] * n] * n])


def part_mask(x, *, beta=4.0):
    import numpy as np

    maps, n = x.numpy(), x.shape[-1]
    masks, (rows, columns) = np.empty_like(maps), np.indices((n, n))
    for where in np.ndindex(maps.shape[:-2]):
        row, column = divmod(maps[where].argmax(), n)
        masks[where] = np.maximum(1 - beta / n * (abs(rows - row) + abs(columns - column)), 0)
    return torch.from_numpy(masks)
"""
FEW_CALLS_EACH = """
def part_templates(n, *, beta=4.0, tau=None):
    import numpy as np

    tau, (i, j) = 0.5 / n**2 if tau is None else tau, np.indices((n, n))
    hills = [1 - beta * (abs(i - r) + abs(j - c)) / n for r in range(n) for c in range(n)]
    table = tau * np.stack([*np.maximum(hills, -1), -np.ones((n, n))])
    return torch.tensor(table, dtype=torch.get_default_dtype())
"""


@pytest.mark.parametrize(
    "loops",
    [LOOPS, LOOPS_WITHOUT_TORCH, LOOPS_WITHOUT_TORCH + FEW_CALLS_EACH],
    ids=["lesson", "no torch", "few calls"],
)
@pytest.mark.parametrize("task", ["part_templates", "part_mask"])
def test_a_loop_is_no_answer(task, loops, always_passes) -> None:
    source = read(tool.SOURCE, SETS[0])
    space = set_up(source)
    for cell in read(ROOT / "notebooks", "01_templates").cells:
        if found := re.match(r"def (template|mask)\(.*?\n\n", cell.source, re.S):
            exec(found[0], space)
    exec(loops, space)
    with pytest.raises(AssertionError, match="that is a loop"):
        exec(graded(source)[f"test_{task}"].source, space)


SHORT = """
def part_templates(n, *, beta=4.0, tau=None):
    tau = 0.5 / n**2 if tau is None else tau
    r, c = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    steps = lambda row, column: (r - row).abs() + (c - column).abs()
    hills = 1 - beta * torch.vmap(steps)(r.flatten(), c.flatten()) / n
    return tau * torch.cat([hills.clamp(min=-1), -torch.ones(1, n, n)])


def part_mask(x, *, beta=4.0):
    n = x.shape[-1]
    gap = torch.tensor([[abs(i - j) for j in range(n)] for i in range(n)])
    steps = gap[:, None, :, None] + gap[None, :, None, :]
    masks = (1 - beta * steps.to(x.dtype) / n).clamp(min=0).reshape(n * n, n * n)
    places = torch.nn.functional.one_hot(x.flatten(-2).argmax(-1), n * n).to(x.dtype)
    return torch.einsum("...k,kp->...p", places, masks).view_as(x)
"""


@pytest.mark.parametrize("task", ["part_templates", "part_mask"])
def test_other_ways_without_a_loop_are_answers(task) -> None:
    source = read(tool.SOURCE, SETS[0])
    space = set_up(source)
    exec(SHORT, space)
    exec(graded(source)[f"test_{task}"].source, space)


def test_the_map_with_two_opinions_can_be_found_for_every_variant(always_passes) -> None:
    source = read(tool.SOURCE, SETS[0])
    cells, space, maps = graded(source), set_up(source), set()
    for variant in range(100):
        exec(cells["two_opinions"].source.replace("variant=0", f"variant={variant}"), space)
        exec(cells["test_two_opinions"].source, space)
        maps.add(str(space["x"].tolist()))
    assert len(maps) == 100
    neighbour = space["two_opinions"](0)
    space["two_opinions"] = lambda variant=7: neighbour
    with pytest.raises(AssertionError, match="belongs at unit 7"):
        exec(cells["test_two_opinions"].source, space)


def test_the_boxes_keep_their_names_and_the_visible_test_knows_them(always_passes) -> None:
    name = "4_interpretable_layer"
    cells, space = graded(read(tool.SOURCE, name)), set_up(read(tool.RELEASE, name))
    exec(cells["diagnose"].source, space)
    boxes, right, said = space["boxes"], space["diagnose"], {}
    assert len({repr((box, vars(box))) for box in boxes.values()}) == 1
    visible = cells["test_diagnose"].source.split("### BEGIN HIDDEN TESTS")[0]
    exec(visible, space)
    said = {id(box): right(box) for box in boxes.values()}
    first, second = list(said)[:2]
    said[first], said[second] = said[second], said[first]
    space["diagnose"] = lambda box: said[id(box)]
    with pytest.raises(AssertionError, match="4 of the 6 names are right"):
        exec(visible, space)


def test_the_model_answer_has_the_numbers_of_the_run() -> None:
    source = read(tool.SOURCE, "4_interpretable_layer")
    text = graded(source)["before_or_after_the_mask"].source
    said = re.search(r"before the mask gave accuracy (\.\d+) and tracking\s(\.\d+)", text).groups()
    shown = "".join(o.get("text", "") for c in source.cells for o in c.get("outputs", []))
    for measure, number in zip(
        ("accuracy on other pictures", "mean part tracking"), said, strict=True
    ):
        assert f"{float(re.search(f'{measure}: ([.0-9]+)', shown)[1]):.2f}" == f"0{number}"


def test_no_formula_breaks_a_table(source) -> None:
    for cell in source.cells:
        for line in cell.source.splitlines() if cell.cell_type == "markdown" else ():
            if line.startswith("|"):
                assert not [f for f in re.findall(r"\$([^$]+)\$", line) if "|" in f], line


def test_an_untouched_release_earns_nothing(name, release) -> None:
    matplotlib.use("agg")
    cells, space = graded(release), {}
    for cell in release.cells:
        if cell.cell_type == "code":
            try:
                exec(cell.source, space)
                failed = False
            except Exception:
                failed = True
            if role(cell).get("grade"):
                assert failed, role(cell).grade_id
    for task in CHECKED[name] + OPEN[name]:
        assert tool.CODE_STUB.split("\n")[1] in cells[task].source
    texts = [c for c in release.cells if role(c).get("grade") and c.cell_type == "markdown"]
    assert texts and all(cell.source == tool.TEXT_STUB for cell in texts)


# --- the tool ------------------------------------------------------------------------------------


@pytest.fixture
def course(tmp_path) -> Path:
    """A copy of the first set, source and release."""
    for folder in (tool.SOURCE, tool.RELEASE):
        (tmp_path / folder.name).mkdir()
        shutil.copy(folder / f"{SETS[0]}.ipynb", tmp_path / folder.name)
    return tmp_path


def drift(course: Path) -> list[str]:
    return tool.drift(course / "source", course / "release")


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_drift_names_the_cell(course) -> None:
    assert drift(course) == []
    change(course / "source" / f"{SETS[0]}.ipynb", "prior[:-1] = alpha", "prior[:-1] = 1.0 * alpha")
    assert drift(course) == []  # the solution is not in the release
    change(course / "release" / f"{SETS[0]}.ipynb", "assert result.passed", "assert True")
    found = drift(course)
    assert [re.search(r"\((\w+)\) differs", line)[1] for line in found] == [
        "test_template_prior",
        "test_part_templates",
        "test_part_mask",
    ]
    assert all(line.startswith(f"{SETS[0]}.ipynb: cell ") for line in found)


def test_drift_sees_files_that_are_missing_or_too_many_or_broken(course) -> None:
    first, second = course / "release" / f"{SETS[0]}.ipynb", course / "release" / "7_gone.ipynb"
    first.rename(second)
    assert [line.split(";")[0] for line in drift(course)] == [
        f"{SETS[0]}.ipynb: there is no release",
        "7_gone.ipynb: a release without a source",
    ]
    tool.make(course / "source", course / "release")
    assert drift(course) == [] and not second.exists()
    first.write_text("{", encoding="utf-8")
    assert "the release is not a notebook" in drift(course)[0]


def test_the_command_says_what_drifted_and_fails(course, monkeypatch, capsys) -> None:
    monkeypatch.setattr(tool, "SOURCE", course / "source")
    monkeypatch.setattr(tool, "RELEASE", course / "release")
    monkeypatch.setattr(sys, "argv", ["make_exercises.py", "--check"])
    for text, code in (("## Task 1", 0), ("## Task one", 1)):
        change(course / "release" / f"{SETS[0]}.ipynb", "## Task 1", text)
        with pytest.raises(SystemExit) as stop:
            tool.main()
        assert stop.value.code == code
    assert "differs; run python classroom/make_exercises.py" in capsys.readouterr().out


def test_the_tool_needs_no_nbgrader() -> None:
    code = "import sys; sys.modules['nbgrader'] = None; import make_exercises as m; m.main()"
    command = [sys.executable, "-c", f"import sys; sys.argv.append('--check'); {code}"]
    done = subprocess.run(command, cwd=ROOT / "classroom", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_source_that_was_not_run_is_named(course, monkeypatch) -> None:
    path = course / "source" / f"{SETS[0]}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbformat.write(notebook, path)
    monkeypatch.setattr(tool, "SOURCE", course / "source")
    monkeypatch.setattr(sys, "argv", ["make_exercises.py"])
    with pytest.raises(SystemExit, match=f"{SETS[0]}.ipynb: a cell tagged target has no output"):
        tool.main()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("### BEGIN SOLUTION\nx = 1", "BEGIN SOLUTION without an END"),
        ("### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION", "BEGIN SOLUTION twice"),
        ("### END SOLUTION", "END SOLUTION without a BEGIN"),
    ],
)
def test_a_broken_region_stops_the_tool(text, message) -> None:
    with pytest.raises(ValueError, match=message):
        tool.cut(text, "SOLUTION", [])


def test_a_region_in_a_cell_that_nbgrader_does_not_know_stops_the_tool() -> None:
    for kind in ("SOLUTION", "HIDDEN TESTS"):
        cell = new_code_cell(f"### BEGIN {kind}\nx = 1\n### END {kind}")
        with pytest.raises(ValueError, match=f"without nbgrader's mark has BEGIN {kind}"):
            tool.without_solutions(new_notebook(cells=[cell]))


def test_a_name_used_twice_stops_the_tool() -> None:
    mark = {"grade": True, "solution": True, "grade_id": "why", "points": 1, "locked": False}
    cells = [new_markdown_cell("because", metadata={"nbgrader": mark}) for _ in range(2)]
    with pytest.raises(ValueError, match="used twice: why"):
        tool.without_solutions(new_notebook(cells=cells))


def test_a_stub_stands_where_the_solution_began() -> None:
    text = "def f():\n    a = 1\n    ### BEGIN SOLUTION\n    return 2\n    ### END SOLUTION\n"
    assert tool.cut(text, "SOLUTION", tool.CODE_STUB.split("\n")) == (
        "def f():\n    a = 1\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"
    )


# --- what the teacher reads ----------------------------------------------------------------------

DOCS = ROOT / "docs"


def test_a_task_can_be_added_as_the_guide_says(tmp_path) -> None:
    guide = (DOCS / "teachers_guide.md").read_text("utf-8")
    part = guide.split("## Add a task")[1].split("\n## Keep")[0]
    blocks = re.findall(r"^(`{3,})(\w+)\n(.*?)\n\1$", part, re.S | re.M)
    assert [kind for _, kind, _ in blocks] == ["markdown", *["python", "json"] * 3]
    texts = [text for _, _, text in blocks]
    cells = [new_markdown_cell(texts[0])]
    for code, metadata in zip(texts[1::2], texts[2::2], strict=True):
        cells.append(new_code_cell(code, metadata=json.loads(metadata)))
    assert missing(cells) == []

    (tmp_path / "source").mkdir()
    path = tmp_path / "source" / "1_more.ipynb"
    notebook = new_notebook(cells=[*read(tool.SOURCE, SETS[0]).cells[:2], *cells])
    tool.write(notebook, path)
    tool.write(tool.execute(path), path)
    tool.make(tmp_path / "source", tmp_path / "release")
    release = nbformat.read(tmp_path / "release" / "1_more.ipynb", as_version=4)
    assert "the worked example: [[2]]" in release.cells[4].source
    assert not secrets(notebook) & {
        li.strip() for c in release.cells for li in c.source.split("\n")
    }

    space: dict = {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            exec(cell.source, space)
    exec(graded(release)["loud_units"].source, space)
    with pytest.raises(NotImplementedError):
        exec(graded(notebook)["test_loud_units"].source, space)


def test_the_archive_for_students_holds_no_secrets(git) -> None:
    guide = (DOCS / "teachers_guide.md").read_text("utf-8")
    virtual, command = re.search(r"archive -o students.zip (.+) HEAD (-- .+)", guide).groups()
    options = ["--cached", "--others", "--exclude-standard"]
    listed = git("ls-files", *options, *shlex.split(command)).splitlines()
    assert "notebooks/exercises/release/1_templates_and_masks.ipynb" in listed
    assert not [path for path in listed if "check_answers" in path or "exercises/source" in path]
    hidden = {line for name in SETS for line in secrets(read(tool.SOURCE, name)) if len(line) > 40}
    answers = (DOCS / "concept_test_answers.md").read_text("utf-8")
    hidden |= {line for line in answers.splitlines() if len(line) > 40}
    for path in listed:
        if Path(path).suffix in {".py", ".md", ".ipynb", ".toml"}:
            text = (ROOT / path).read_text("utf-8").replace('\\"', '"')
            assert not [line for line in hidden if line in text], path
    there = {*listed, re.search("virtual-file='(.+?):", virtual)[1]}
    for path in listed:
        if path.endswith(".md"):
            for link in re.findall(
                r"\]\((?!https?:|#)([^)#\s]+)", (ROOT / path).read_text("utf-8")
            ):
                target = os.path.normpath(Path(path).parent / link)
                assert target in there or any(at.startswith(f"{target}/") for at in there), link


def test_every_link_in_the_guides_leads_somewhere() -> None:
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text("utf-8")
        titles = {
            re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-")
            for t in re.findall(r"^#+ (.+)", text, re.M)
        }
        for link in re.findall(r"\]\((?!https://)([^)]+)\)", text):
            file, _, anchor = link.partition("#")
            assert not file or (DOCS / file).exists(), f"{path.name}: {link}"
            assert file or anchor in titles, f"{path.name}: {link}"


def test_the_guide_covers_every_set_and_every_lesson() -> None:
    guide = (DOCS / "teachers_guide.md").read_text("utf-8")
    for name in SETS:
        assert f"exercises/release/{name}.ipynb" in guide
    goals = re.findall(r"^\| \**(\d+) ", guide, re.M)
    assert sorted(set(map(int, goals))) == list(range(len(lessons())))


def test_the_hours_of_the_guide_add_up() -> None:
    guide = (DOCS / "teachers_guide.md").read_text("utf-8")
    plan = guide.split("## Three weeks")[1].split("\n## ")[0]
    weeks = [line.split("|")[2:5] for line in plan.splitlines() if line.startswith("| **week")]
    assert len(weeks) == 3
    for *sessions, _ in weeks:
        for session in sessions:
            assert sum(map(int, re.findall(r"\((\d+) min\)", session))) == 120, session
    halves = {"": 0, "½": 0.5}
    own = [re.findall(r"\((\d+)(½?) h\)", work) for *_, work in weeks]
    own = sum(int(hours) + halves[half] for parts in own for hours, half in parts)
    said = [int(number) for number in re.findall(r"\d+", plan.split("\n|")[0])]
    assert said == [12, own, 6, 8, 12 + own + 6, 12 + own + 8]


def test_the_concept_test_has_ten_items_and_a_key_with_reasons() -> None:
    test = (DOCS / "concept_test.md").read_text("utf-8")
    items = re.split(r"^## (\d+)\. ", test, flags=re.M)[1:]
    assert [int(number) for number in items[::2]] == list(range(1, 11))
    for text in items[1::2]:
        assert re.findall(r"^- ([A-E])\. .+", text, re.M) == list("ABCDE")
        assert text.strip().endswith("E. I do not know.")
    answers = (DOCS / "concept_test_answers.md").read_text("utf-8")
    key = re.findall(r"^\| (\d+) \| ([A-D]) \| [\d, ]+ \| (.+?) \| (.+?) \|$", answers, re.M)
    assert [int(item) for item, *_ in key] == list(range(1, 11))
    assert len({letter for _, letter, *_ in key}) == 4
    for _, letter, _, wrong in key:
        assert sorted(re.findall(r"\b([A-D])(?=[,:])", wrong)) == sorted(set("ABCD") - {letter})


def test_the_rubric_adds_up() -> None:
    text = (DOCS / "closing_project.md").read_text("utf-8")
    rubric = text.split("## Rubric")[1]
    criteria = re.findall(r"^\| \*\*(.+?)\*\* \| .+ \| .+ \| .+ \|$", rubric, re.M)
    best = int(re.search(r"^\| \| 0 \| 2 \| (\d) \|$", rubric, re.M)[1])
    assert len(criteria) * best == number(rubric.strip())
