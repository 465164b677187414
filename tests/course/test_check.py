"""The exercise checkers: every right answer passes, every wrong one gets a message of its own."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
import warnings
from collections import Counter
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from check_answers import RIGHT, WRONG

import icnn
from icnn.course import check
from icnn.course.check import _runner

TASKS = {name: getattr(check, name) for name in check.__all__}
ANSWER = {task: answer for task, answer in reversed(RIGHT)}  # the first right one of each


@pytest.fixture(autouse=True)
def fresh_ladders() -> None:
    _runner._failures.clear()


def named(answers: list[tuple]) -> list:
    return [pytest.param(*answer, id=f"{answer[0]}-{answer[1].__name__}") for answer in answers]


# --- the matrix ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "answer"), named(RIGHT))
def test_a_right_answer_passes(task, answer) -> None:
    result = TASKS[task](answer)
    assert (result.status, result.passed, result.hint) == ("passed", True, ""), result.message


@pytest.mark.parametrize(("task", "answer", "phrase"), named(WRONG))
def test_a_wrong_answer_is_caught_with_its_own_message(task, answer, phrase) -> None:
    result = TASKS[task](answer)
    assert (result.status, result.passed) == ("failed", False)
    assert phrase.lower() in result.message.lower()
    assert result.hint == TASKS[task].hints[0]


@pytest.mark.parametrize("task", TASKS)
def test_there_are_enough_answers_and_their_messages_differ(task) -> None:
    assert sum(name == task for name, _ in RIGHT) >= 3
    messages = [TASKS[task](answer).message for name, answer, _ in WRONG if name == task]
    assert len(messages) >= 8
    assert not [text for text, count in Counter(messages).items() if count > 1]


MISTAKES = [
    pytest.param(task, *mistake, id=f"{name}-{number}")
    for name, task in TASKS.items()
    for number, mistake in enumerate(task.mistakes)
]


@pytest.mark.parametrize(("task", "function", "message"), MISTAKES)
def test_each_mistake_in_the_list_is_told_from_all_others(task, function, message) -> None:
    result = task(lambda *args, **options: function(*args, **options))
    assert result.message == _runner._sentence(message)
    trial = _runner._try(task, function, next(iter(task.cases)))
    assert not isinstance(trial.error, NameError), trial.error


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_what_a_task_says_is_complete(task) -> None:
    messages = [message for _, message in task.mistakes]
    assert len(set(messages)) == len(messages) >= 12
    assert len(task.hints) == len(set(task.hints)) == 3
    assert len(task.cases) >= 3 and len(task.edges) >= 2
    if hasattr(icnn, task.name):
        assert task.name in task.own


def test_every_mistake_in_the_table_belongs_to_a_task() -> None:
    assert _runner.SLIPS.keys() == {*TASKS, "shared"}
    shared = [name for task in TASKS.values() for name in task.shared]
    assert _runner.SLIPS["shared"].keys() == set(shared)
    assert [name for name, count in Counter(shared).items() if count < 2] == []


def test_the_numbers_of_cases_in_the_exercises_are_those_of_the_checkers() -> None:
    saved = {}
    for path in Path(__file__).parents[2].glob("notebooks/exercises/source/*.ipynb"):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                text = "".join(output.get("data", {}).get("text/plain", ""))
                saved |= dict(re.findall(r"(\w+): passed\s+Your function is right in (.*)", text))
    count = {name: len(task.cases) + len(task.edges) for name, task in TASKS.items()}
    assert saved == {name: f"all {number} cases." for name, number in count.items()}


# --- unfinished is not wrong ---------------------------------------------------------------------


def only_a_docstring(*args, **options):
    """To do."""


def only_pass(*args, **options):
    pass


def only_dots(*args, **options): ...


def returns_none(*args, **options):
    return None


def returns_dots(*args, **options):
    result = ...
    return result


def returns_a_pair_of_dots(*args, **options):
    return ..., ...


def stub(*args, **options):
    raise NotImplementedError()


def stub_with_text(*args, **options):
    raise NotImplementedError("write your code here")


def helper_is_a_stub(*args, **options):
    return stub(*args) + 1


UNFINISHED = (
    None,
    ...,
    only_a_docstring,
    only_pass,
    only_dots,
    returns_none,
    returns_dots,
    returns_a_pair_of_dots,
    stub,
    stub_with_text,
    helper_is_a_stub,
    functools.partial(stub),
    functools.wraps(only_pass)(lambda *args, **options: only_pass()),
)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "answer", UNFINISHED, ids=lambda a: getattr(a, "__name__", type(a).__name__)
)
def test_an_unfinished_answer_is_not_attempted(task, answer) -> None:
    result = TASKS[task](answer)
    assert (result.status, result.passed, result.hint) == ("not attempted", False, "")
    assert not _runner._failures


def test_a_stub_in_one_branch_is_not_attempted() -> None:
    def filter_loss(x, *, sharpness=None, scale=None, beta=4.0):
        if sharpness is not None:
            raise NotImplementedError
        return ANSWER["filter_loss"](x, beta=beta)

    assert check.filter_loss(filter_loss).status == "not attempted"


def without_forward(maps):
    return torch.nn.Module()(maps)


def without_data(maps):
    return maps.to("meta").cpu()


@pytest.mark.parametrize("answer", [without_forward, without_data])
def test_what_torch_has_not_implemented_is_an_error_of_the_answer(answer) -> None:
    result = check.dead_filters(answer)
    assert result.status == "failed" and "NotImplementedError" in result.message


# --- nothing reaches the learner as a traceback --------------------------------------------------


class Nasty(BaseException):
    def __str__(self) -> str:
        raise RuntimeError("cannot even be printed")


class Strange:
    """Raises whatever one asks of it."""

    def __getattr__(self, name):
        raise KeyError(name)

    def __call__(self, *args, **options):
        return Strange()

    def __len__(self):
        raise OSError

    __bool__ = __array__ = __iter__ = __len__


def raising(error):
    def answer(*args, **options):
        raise error

    return answer


def forever(*args, **options):
    return forever(*args, **options)


RAISES = [
    ZeroDivisionError("division by zero"),
    SystemExit(1),
    GeneratorExit(),
    MemoryError(),
    StopIteration(),
    AssertionError(),
    Nasty(),
    ExceptionGroup("several", [ValueError()]),
    ValueError("line one\nline two " + "x" * 5000),
]
RETURNS = [
    "a text",
    {"a": 1},
    object(),
    Strange(),
    [],
    [[1.0, 2.0], [3.0]],
    [None],
    np.array(["a"]),
    np.array([None]),
    float("nan"),
    1 + 2j,
    10**400,
    torch.tensor([]),
    torch.empty(3, device="meta"),
    torch.eye(3).to_sparse(),
    torch.tensor([1 + 2j]),
    torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    torch.nn.Linear(1, 1),
    (number for number in range(3)),
    type,
    NotImplemented,
]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("error", RAISES, ids=lambda error: type(error).__name__)
def test_whatever_an_answer_raises(task, error) -> None:
    result = TASKS[task](raising(error))
    assert result.status == "failed"
    assert type(error).__name__ in result.message or isinstance(error, Nasty)
    assert len(result.message) < 600


@pytest.mark.parametrize("task", TASKS)
def test_whatever_an_answer_returns(task) -> None:
    for returned in RETURNS:
        result = TASKS[task](lambda *args, returned=returned, **options: returned)
        assert result.status == "failed", returned
        assert "could not be checked" not in result.message, returned
        assert len(repr(result)) < 1200


@pytest.mark.parametrize("task", TASKS)
def test_whatever_is_handed_in(task) -> None:
    for answer in (3, "text", torch.zeros(3), Strange(), Strange, int, print, forever):
        assert TASKS[task](answer).status == "failed"


def test_an_interrupt_goes_through_and_leaves_nothing_behind() -> None:
    before = sys.getprofile()
    with pytest.raises(KeyboardInterrupt):
        check.peaks(raising(KeyboardInterrupt()))
    assert sys.getprofile() is before


def test_a_function_that_returns_nothing_is_told_so() -> None:
    def peaks(maps):
        places = ANSWER["peaks"](maps)
        del places

    assert "is the return missing?" in check.peaks(peaks).message


def test_the_line_where_an_answer_stops_is_shown() -> None:
    def dead_filters(maps):
        first = maps[0]
        return first.nothing_like_it()

    message = check.dead_filters(dead_filters).message
    assert "at the line “return first.nothing_like_it()” with AttributeError: 'Tensor'" in message
    assert 'File "' not in message


def test_other_arguments_are_named() -> None:
    message = check.part_templates(lambda n: n).message
    assert "should be part_templates(n, *, beta=4.0, tau=None)" in message
    assert "'beta'" in message


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("p(x) should sum to 1", "p(x) should sum to 1."),
        ("τ is missing", "τ is missing."),
        ("a mask, and what is it?", "A mask, and what is it?"),
        ("what comes first, and last.", "What comes first, and last."),
    ],
)
def test_messages_are_sentences(text, sentence) -> None:
    assert _runner._sentence(text) == sentence


def test_a_result_handed_in_for_the_function_is_told_so() -> None:
    result = check.part_templates(torch.zeros(10, 3, 3))
    assert "the function itself" in result.message


def test_a_constant_factor_is_told_but_not_from_a_special_case() -> None:
    def peak_spread(points, scores, *, top=100):
        return 3 * ANSWER["peak_spread"](points, scores, top=top)

    def for_five_images(points, scores, *, top=100):
        return (3 if len(points) == 5 else 1) * ANSWER["peak_spread"](points, scores, top=top)

    assert (
        "each entry of yours is 3 times what it should be" in check.peak_spread(peak_spread).message
    )
    assert "entry [0] of the spread" in check.peak_spread(for_five_images).message


def test_two_numbers_in_a_message_differ() -> None:
    def peak_spread(points, scores, *, top=100):
        return ANSWER["peak_spread"](points, scores, top=top) * (1 + 2e-4 * (torch.arange(3) == 1))

    message = check.peak_spread(peak_spread).message
    should, is_ = re.search(r"should be (\S+); yours is (\S+)\.$", message).groups()
    assert should != is_ and "entry [1]" in message


def test_a_factor_is_told_only_of_entries_that_differ() -> None:
    def told_by_each(fitness, prior):
        often, told = ANSWER["told_by_each"](fitness, prior)
        return (often.ceil() if len(fitness) == 2 else often), told

    message = check.told_by_each(told_by_each).message
    assert "For the worked example, entry [0, 0] of p(x) should be 0.5; yours is 1" in message


def test_wrong_shapes_are_told_in_letters_and_numbers() -> None:
    result = check.part_templates(lambda n, beta=4.0, tau=None: torch.zeros(n, n))
    assert "the shape (n²+1, n, n), here (10, 3, 3); yours has the shape (3, 3)" in result.message
    result = check.filter_loss(lambda x, sharpness=None, scale=None, beta=4.0: torch.zeros(7))
    assert "should be one number; yours has the shape (7,)" in result.message


@pytest.mark.parametrize("task", TASKS)
def test_nan_in_a_result_is_caught(task) -> None:
    def answer(*args, **options):
        results = ANSWER[task](*args, **options)
        several = isinstance(results, tuple)
        parts = [torch.as_tensor(part).double() for part in (results if several else (results,))]
        parts[-1] = parts[-1] + torch.nan
        return tuple(parts) if several else parts[0]

    assert TASKS[task](answer).status == "failed"


# --- what an answer must not do ------------------------------------------------------------------


def changing(task: str, index: int):
    """A right answer that also changes one of its tensors."""

    def answer(*args, **options):
        args[index].copy_(torch.ones_like(args[index]).flip(0) + args[index])
        return ANSWER[task](*args, **options)

    return answer


TENSORS = [
    (name, index)
    for name, task in TASKS.items()
    for index, argument in enumerate(next(iter(task.cases)).args)
    if isinstance(argument, torch.Tensor)
]


@pytest.mark.parametrize(("task", "index"), TENSORS)
def test_an_argument_changed_in_place_is_named(task, index) -> None:
    message = TASKS[task](changing(task, index)).message
    assert "in place" in message and "Whoever called it" in message


OWN = [name for name in TASKS if hasattr(icnn, name)]


def lent(function):
    """Looks like the learner's own work from outside."""

    def answer(*args, **options):
        return function(*args, **options)

    return answer


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    "disguise",
    [lambda f: f, lent, functools.partial, lambda f: functools.wraps(f)(lent(f)), functools.cache],
    ids=["itself", "called", "partial", "wraps", "cache"],
)
def test_the_packages_own_function_is_noticed(name, disguise) -> None:
    result = TASKS[name](disguise(getattr(icnn, name)))
    assert result.status == "failed"
    assert "icnn's own" in result.message


def test_the_layer_and_hidden_helpers_are_noticed_too() -> None:
    def masked_maps(x, *, beta=4.0):
        return icnn.InterpretableLayer(x.shape[1], x.shape[-1], beta=beta)(x)

    def part_mask(x, *, beta=4.0):
        peak = x.flatten(-2).argmax(-1)
        return icnn.templates.mask_at(peak, x.shape[-1], beta=beta, dtype=x.dtype)

    assert "icnn's own InterpretableLayer.forward" in check.masked_maps(masked_maps).message
    assert "icnn's own mask_at" in check.part_mask(part_mask).message


# --- the result, and the world around it ---------------------------------------------------------


def test_failures_climb_the_ladder_of_hints_and_a_success_begins_it_again() -> None:
    hints = check.peaks.hints
    nudge, idea, *more = [check.peaks(lambda maps: maps).hint for _ in range(4)]
    assert (nudge, idea) == hints[:2]
    assert all("print(check.peaks.hints[2])" in hint for hint in more)
    assert hints[2] not in more, "almost the code, and nobody has asked for it"
    assert check.dead_filters(lambda maps: maps).hint == check.dead_filters.hints[0]
    assert check.peaks(only_pass).hint == ""
    assert check.peaks(ANSWER["peaks"]).passed
    assert check.peaks(lambda maps: maps).hint == hints[0]


def test_a_result_is_frozen_and_true_only_when_passed() -> None:
    passed, failed = check.peaks(ANSWER["peaks"]), check.peaks(lambda maps: maps)
    assert passed and not failed and not check.peaks(None)
    with pytest.raises(FrozenInstanceError):
        failed.status = "passed"


def test_a_result_prints_as_plain_text() -> None:
    result = check.part_templates(lambda n, beta=4.0, tau=None: torch.zeros(n * n, n, n))
    text = repr(result)
    assert str(result) == text and not hasattr(result, "_repr_html_")
    assert text.startswith("part_templates: not right yet\n  ")
    assert f"Hint: {result.hint}" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 88
    assert repr(check.peaks(ANSWER["peaks"])).startswith("peaks: passed\n")
    assert repr(check.peaks(None)).startswith("peaks: not attempted yet\n")
    assert repr(check.peaks) == "check.peaks: call it with your own peaks(maps)"


@pytest.mark.parametrize("task", TASKS)
def test_a_check_leaves_the_world_as_it_was(task) -> None:
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    numpy_state = np.random.get_state()[1].copy()
    profile = sys.getprofile()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for answer in (ANSWER[task], lambda *args, **options: warnings.warn("hm", stacklevel=1)):
            TASKS[task](answer)
    assert not seen
    assert torch.equal(torch.get_rng_state(), state) and torch.get_default_dtype() == dtype
    assert (np.random.get_state()[1] == numpy_state).all()
    assert sys.getprofile() is profile and torch.is_grad_enabled()


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("task", ["filter_loss", "masked_maps", "running_peak"])
def test_the_learners_grad_mode_does_not_matter(mode, task) -> None:
    careless = next(answer for name, answer, phrase in WRONG if name == task and "grad" in phrase)
    with mode():
        assert TASKS[task](ANSWER[task]).passed
        assert not TASKS[task](careless).passed


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["reference", "plain"])
def test_the_right_answers_of_a_task_pass(task, kind) -> None:
    right, unwatched = getattr(TASKS[task], kind), replace(TASKS[task])
    unwatched.own = ()
    assert unwatched(lambda *args, **options: right(*args, **options)).passed


def test_a_slip_changes_a_piece_that_stands_there_once() -> None:
    with pytest.raises(ValueError, match="'number' stands 0 times in only_pass"):
        _runner.edited(only_pass, "number", "")
    with pytest.raises(ValueError, match="stands 2 times"):
        _runner.edited(helper_is_a_stub, "args", "")


def test_the_gradient_is_that_of_autograd() -> None:
    fitness = torch.randn(4, 3, 5, dtype=torch.float64, requires_grad=True)
    prior = torch.rand(5, dtype=torch.float64).softmax(0)
    total = icnn.mutual_information(fitness, prior).sum()
    (wanted,) = torch.autograd.grad(total, fitness)
    assert torch.allclose(check.score_gradient.reference(fitness.detach(), prior), wanted)


def test_it_works_in_plain_python() -> None:
    code = (
        "from icnn import check\n"
        "def part_templates(n, *, beta=4.0, tau=None):\n    raise NotImplementedError()\n"
        "print(check.part_templates(part_templates))\n"
        "print(check.peaks(lambda maps: 1 / 0))\n"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert run.stdout.startswith("part_templates: not attempted yet\n")
    assert "ZeroDivisionError: division by zero" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr


def test_an_unknown_exercise_is_named() -> None:
    with pytest.raises(AttributeError, match="no exercise 'part_template'; there are part_temp"):
        check.part_template  # noqa: B018
    assert dir(check) == sorted(check.__all__)
