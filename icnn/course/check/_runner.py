"""Run an answer on a task's cases, compare, and say in words what is wrong.

A task is data: cases, a reference, the typical mistakes as changes of a right answer (slips.toml),
and three hints (hints.toml).
A wrong answer is explained by the first mistake that gives the same results on every case so far;
if none does, by the first difference.
"""

import copy
import dis
import inspect
import linecache
import operator
import re
import sys
import tomllib
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import FrameType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

import icnn
from icnn.course.check._result import FAILED, NOT_ATTEMPTED, PASSED, Result
from icnn.course.check._values import Output, Unreadable, close, differs, read

AUTOGRAD = "autograd"
DERIVING = {"torch.autograd", "torch.autograd.functional"}
DERIVING |= {"torch._functorch.apis", "torch._functorch.eager_transforms"}
IN_PLACE = (
    "Whoever called it still needs the old values: make a new tensor (avoid +=, *=, x[...] = … and "
    "names that end in _)"
)
HINTS, SLIPS = (
    tomllib.loads(Path(__file__).with_name(name).read_text("utf-8"))
    for name in ("hints.toml", "slips.toml")
)
_failures: Counter[str] = Counter()  # how often each task has failed in a row


def gradient(function: Callable, x: Tensor, *args: Any, **options: Any) -> Tensor:
    """What arrives at x from the sum of the outputs: zeros if the answer cuts the graph."""
    x.requires_grad_()
    output = function(x, *args, **options)
    if not (isinstance(output, Tensor) and output.requires_grad):
        return torch.zeros_like(x)
    return torch.autograd.grad(output.sum(), x)[0]


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    """Numbers in [0, 1) that are the same every time; torch's own generator is left alone."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


class Given:
    """The arguments of one case, written as in a call, and how the answer is used on them."""

    def __init__(self, *args: Any, use: Callable = operator.call, **options: Any) -> None:
        self.args, self.options, self.use = args, options, use


_source = cache(inspect.getsource)


def edited(function: Callable, piece: str, version: str) -> Callable:
    """A function with one piece of its code written in another way."""
    source = _source(function)
    if source.count(piece) != 1:
        raise ValueError(f"{piece!r} stands {source.count(piece)} times in {function.__name__}")
    made: dict[str, Callable] = {}
    exec(source.replace(piece, version), function.__globals__, made)
    return made[function.__name__]


@dataclass
class Task:
    """One exercise. Call it with your function."""

    plain: Callable  # a right answer, written so that a typical mistake is a change of one piece
    outputs: dict[str, str]  # what is returned: a name in words → its shape in words
    cases: dict[Given, str]  # as given → in words; together they must tell all mistakes apart
    edges: dict[Given, str]  # special cases, tried one by one after the ordinary ones
    own: tuple[str, ...] = ()  # icnn's functions that would be the answer, beside the same name
    shared: tuple[str, ...] = ()  # the mistakes of slips.toml that other tasks have, too
    others: dict[Callable, str] = field(default_factory=dict)  # wrong in another way → what to tell
    by_hand: bool = False  # whether the task is to derive what autograd would give
    same_dtype: bool = False  # whether the dtype is fixed; if not, more digits are fine
    # What a right first output obeys: (got, wanted, arguments) → where it is broken, what to say,
    # and the values that stand for {} there.
    law: Callable[[Tensor, Tensor, tuple], tuple] | None = None

    def __post_init__(self) -> None:
        _source(self.plain)  # read now, while the file is that of the code
        self.name = self.plain.__name__.removeprefix("_")
        self.signature = f"{self.name}{inspect.signature(self.plain)}"
        self.own = (self.name, *self.own)
        self.hints = tuple(HINTS[self.name].values())
        # What an answer is compared with is icnn's own function, where there is one.
        self.reference = getattr(icnn, self.name, self.plain)

    @cached_property
    def mistakes(self) -> list[tuple[Callable, str]]:
        """Wrong functions, and what to tell somebody whose results are the same."""
        changed = [
            (edited(self.plain, piece, version), message)
            for slips in (SLIPS[self.name], *(SLIPS["shared"][name] for name in self.shared))
            for piece, versions in slips.items()
            for version, message in versions.items()
        ]
        return [*self.others.items(), *changed]

    def __repr__(self) -> str:
        return f"check.{self.name}: call it with your own {self.signature}"

    def __call__(self, answer: Callable) -> Result:
        """Check an answer; never raises, except that an interrupt goes through."""
        try:
            with torch.inference_mode(False), torch.enable_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                problem = _problem(self, answer)
        except _Unfinished:
            begin = "Write your answer where the function stops, then run this again."
            return Result(self.name, NOT_ATTEMPTED, f"Nothing to check yet. {begin}")
        except Exception as error:  # an answer that no one thought of must not end in a traceback
            problem = f"your function could not be checked ({type(error).__name__})"
        if problem is None:
            _failures.pop(self.name, None)
            count = len(self.cases) + len(self.edges)
            return Result(self.name, PASSED, f"Your function is right in all {count} cases.")
        last = f"if you want it: print(check.{self.name}.hints[2])"
        ladder = (*self.hints[:2], f"the next hint is almost the code; {last}")
        hint = ladder[min(_failures[self.name], 2)]
        _failures[self.name] += 1
        return Result(self.name, FAILED, _sentence(problem), hint)


class _Unfinished(Exception):
    """The answer is still a stub."""


@dataclass
class _Trial:
    """One function on one case: what it gave, or why it gave nothing."""

    given: Given
    outputs: list[Output] | None = None
    error: BaseException | None = None
    foul: str | None = None  # what it did that no answer may do
    wanted: list[Output] | None = None  # what the reference gives

    def agrees(self, other: Self) -> bool:
        """The same results, or stopped by the same kind of error."""
        if self.outputs is None or other.outputs is None:
            return type(self.error) is type(other.error)
        return close(self.outputs, other.outputs, strict=False)

    def right(self, *, same_dtype: bool) -> bool:
        """Whether it gave what the reference gives."""
        if self.outputs is None or not close(self.outputs, self.wanted, strict=True):
            return False
        pairs = zip(self.outputs, self.wanted, strict=True)
        return all(got.fits(want, same=same_dtype) for got, want in pairs)


def _problem(task: Task, answer: Any) -> str | None:
    """What is wrong with an answer, or None."""
    if answer is None or answer is ... or _is_empty(answer):
        raise _Unfinished
    if not callable(answer):
        call_it = f"check.{task.name}({task.name})"
        return f"hand in the function itself, without parentheses behind it: {call_it}"
    if misfit := _misfit(task, answer):
        return misfit
    trials = []
    for stage in (task.cases, *([given] for given in task.edges)):
        for given in stage:
            trials.append(trial := _try(task, answer, given))
            if trial.foul:
                return trial.foul
            trial.wanted = _try(task, task.reference, given).outputs
        if not all(trial.right(same_dtype=task.same_dtype) for trial in trials):
            return _diagnosis(task, answer, trials)
    return None


def _try(task: Task, function: Callable, given: Given) -> _Trial:
    args, options = copy.deepcopy((given.args, given.options))
    trial = _Trial(given)
    try:
        with _watching(task.own) as seen:
            returned = given.use(function, *args, **options)
        if any(part is ... for part in (returned if type(returned) is tuple else (returned,))):
            raise _Unfinished
        trial.outputs = read(returned, len(task.outputs))
    except (KeyboardInterrupt, _Unfinished):
        raise
    except BaseException as error:  # also SystemExit: nothing may stop the learner's notebook
        if _says_unfinished(error):
            raise _Unfinished from None
        trial.error = error
    trial.foul = _foul(task, given, seen, (*args, *options.values()))
    return trial


def _misfit(task: Task, answer: Callable) -> str | None:
    """Whether the answer cannot be called as the task asks."""
    try:
        signature = inspect.signature(answer)
    except (TypeError, ValueError):
        return None
    try:
        for given in task.cases | task.edges:
            signature.bind(*given.args, **given.options)
    except TypeError as error:
        return f"the function should be {task.signature}; yours does not fit: {error}"
    return None


def _foul(task: Task, given: Given, seen: list[str], left: tuple) -> str | None:
    """What the answer should not have done: who was at work, and which arguments it left."""
    for name in seen:
        if name != AUTOGRAD:
            return f"that is icnn's own {name} at work. It is right; now write it yourself"
        if task.by_hand:
            return "that is autograd at work. The gradient is to be derived: write its formula"
    names = inspect.signature(task.reference).parameters
    before = dict(zip(names, given.args, strict=False)) | given.options
    for (name, old), new in zip(before.items(), left, strict=True):
        if isinstance(old, Tensor) and not np.array_equal(old, new.detach(), equal_nan=True):
            return f"your function changes its argument {name} in place. {IN_PLACE}"
    return None


@contextmanager
def _watching(names: tuple[str, ...]) -> Iterator[list[str]]:
    """Notes which of icnn's functions of these names run meanwhile, and whether autograd does."""
    seen: list[str] = []

    def watch(frame, event, _argument) -> None:
        name = frame.f_code.co_qualname
        if event == "call" and name in names and _module(frame).startswith("icnn."):
            seen.append(name)
        elif event == "call" and _module(frame) in DERIVING:
            seen.append(AUTOGRAD)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(before)


def _is_empty(answer: Any) -> bool:
    """A function whose body is only `...`, `pass` or a docstring."""
    code = getattr(inspect.unwrap(answer) if callable(answer) else answer, "__code__", None)
    if code is None:
        return False
    steps = [s for s in dis.get_instructions(code) if s.opname not in ("RESUME", "NOP", "CACHE")]
    names = [step.opname for step in steps]
    nothing = names in (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"])
    return nothing and steps[0].argval in (None, ...)


def _says_unfinished(error: BaseException) -> bool:
    """A `raise NotImplementedError` in the answer; torch raises the same for its own reasons."""
    if not isinstance(error, NotImplementedError):
        return False
    step = error.__traceback__
    while step.tb_next:
        step = step.tb_next
    by_hand = step.tb_frame.f_code.co_code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"]
    return by_hand and not _module(step.tb_frame).startswith("torch.")


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _diagnosis(task: Task, answer: Any, trials: list[_Trial]) -> str:
    """The mistake that explains all results so far, or else the first difference."""
    if not all(t.outputs and close(t.outputs, t.wanted, strict=False) for t in trials):
        for function, message in task.mistakes:
            if all(trial.agrees(_try(task, function, trial.given)) for trial in trials):
                return message
    trial = next(trial for trial in trials if not trial.right(same_dtype=task.same_dtype))
    if isinstance(trial.error, Unreadable):
        return str(trial.error)
    found = _stop(answer, trial.error) if trial.error else _difference(task, trial)
    return f"for {(task.cases | task.edges)[trial.given]}, {found}"


def _difference(task: Task, trial: _Trial) -> str:
    """The first output that is not as wanted, and how."""
    outputs = list(zip(task.outputs.items(), trial.outputs, trial.wanted, strict=True))
    for (name, shape), (got, _), (want, _) in outputs:
        if got.shape != want.shape:
            right = f"have the shape {shape}, here {tuple(want.shape)}"
            right = right if want.ndim else "be one number"
            return f"{name} should {right}; yours has the shape {tuple(got.shape)}"
    if task.law:
        _, got, want = outputs[0]
        broken, words, *seen = task.law(got.values, want.values, trial.given.args)
        if broken.any():
            return words.format(*(number(values[broken][0]) for values in seen))
    for (name, _), output, wanted in outputs:
        got, want = output.values, wanted.values
        wrong = differs(got, want, strict=False)
        if trial.given in task.cases and (factor := _factor(got, want)):
            return f"{name}: each entry of yours is {factor:.4g} times what it should be"
        if wrong.any():
            place = tuple(wrong.nonzero()[0].tolist())
            entry = f"entry {list(place)} of {name}" if place else name
            texts = [[number(v[place], digits) for v in (want, got)] for digits in (4, 6, 9)]
            pair = next((pair for pair in texts if pair[0] != pair[1]), texts[0])
            return "{} should be {}; yours is {}".format(entry, *pair)
        if not output.fits(wanted, same=task.same_dtype):
            return f"{name} should have the dtype {want.dtype}; yours is {got.dtype}"
        if differs(got, want, strict=True).any():
            return (
                f"{name}: only the first digits are right. Either something is computed in fewer "
                f"digits than {want.dtype} has (whole numbers become float32 when they are "
                "divided), or a small number is added where none belongs"
            )
    raise AssertionError("no difference")


def _factor(got: Tensor, want: Tensor) -> float | None:
    """What a result has been multiplied by, if that is all that is wrong with it."""
    ratios = (got.double() / want.double())[want != 0]
    if len(want[want != 0].unique()) < 2 or not ratios.isfinite().all():
        return None
    factor = float(ratios.median())
    if abs(factor - 1) < 1e-2 or differs(got.double() / factor, want.double(), strict=False).any():
        return None
    return factor


def _stop(answer: Any, error: BaseException) -> str:
    """Where an answer stopped, and what Python said, without a traceback."""
    text = (str(error).strip().splitlines() or [""])[0][:200]
    said = type(error).__name__ + (f": {text}" if text else "")
    file = getattr(getattr(inspect.unwrap(answer), "__code__", None), "co_filename", None)
    steps = [step for step in traceback.extract_tb(error.__traceback__) if step.filename == file]
    line = linecache.getline(file, steps[-1].lineno).strip() if steps else ""
    where = f" at the line “{line}”" if line else ""
    return f"your function stops{where} with {said}"


def number(value: Tensor, digits: int = 4) -> str:
    """One entry of a tensor, for a message."""
    return f"{value.item() + 0.0:.{digits}g}" if value.is_floating_point() else str(value.item())


def _sentence(text: str) -> str:
    """With a capital and a full stop; symbols such as p(x) and τ stay small."""
    starts_with_word = re.match(r"(a|[a-z]{2,})[ ,]", text)
    end = "" if text[-1] in ".?" else "."
    return (text[0].upper() if starts_with_word else text[0]) + text[1:] + end
