"""Predictions that readers type are scored, and without any a lesson prints the same everywhere."""

from __future__ import annotations

import pytest

from icnn.course import show


@pytest.fixture(autouse=True)
def new_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(show, "_SCORES", {})


@pytest.mark.parametrize(
    ("guess", "truth", "within", "right"),
    [
        (0.75, 1, None, True),
        (1.25, 1, None, True),
        (0.74, 1, None, False),
        (-0.75, -1, None, True),
        (0.75, -1, None, False),
        (0.1, 0, 0.1, True),
        (0.2, 0, 0.1, False),
        (3, 3.1, 0.05, False),
        ("Plain ", "plain", None, True),
        ("(0, 2)", "(0,2)", None, True),
        ("mask only", "plain", None, False),
        (1234, 1234, None, True),
        ("T⁻", "T-", None, True),
        ((1, 2), "(1,2)", None, True),
        ("(2, 1)", "(1,2)", None, False),
        (float("nan"), 1, None, False),
    ],
)
def test_a_guess_is_right_when_it_is_near_or_the_same(guess, truth, within, right, capsys) -> None:
    show.score("the question", guess, truth, within)
    said = capsys.readouterr().out
    assert said.startswith(f"the question: you said {guess}, it is {truth} ")
    assert ("✓" in said, "✗" in said) == (right, not right)


def test_the_last_answer_to_each_question_counts(capsys) -> None:
    for name, guess in (("one", 1), ("two", 9), ("three", 9), ("two", 1)):
        show.score(name, guess, 1)
    assert capsys.readouterr().out.splitlines()[-1] == (
        "two: you said 1, it is 1 ✓ (2 of 3 predictions right so far)"
    )


@pytest.mark.parametrize("truth", [0.123, "plain"])
def test_without_a_guess_the_line_does_not_tell(truth, capsys) -> None:
    show.score("the question", None, truth)
    assert capsys.readouterr().out == "the question: no prediction typed\n"


def test_a_word_in_place_of_a_number_is_an_error_and_the_other_way_round() -> None:
    with pytest.raises(TypeError, match="guess must be a number or None, got 'half'"):
        show.score("the question", "half", 0.5)
    with pytest.raises(TypeError, match="guess must be a word in quotation marks or None, got 5"):
        show.score("the question", 5, "equal")
