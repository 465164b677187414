"""The explorers: every control over its whole range, the numbers, the widgets, and no widgets."""

from __future__ import annotations

import gc
import importlib
import math
import random
import re
import sys
import time
from collections.abc import Iterator

import ipywidgets
import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

import icnn
from icnn.course.explore import (
    _explorer,
    _filters,
    _information,
    _replay,
    _templates,
    recording,
)
from icnn.course.explore._explorer import Choice, Explorer, State

NAMES = icnn.explore.__all__
SECONDS = 0.2  # of computing for a picture after the first one, on a machine that is not busy
BUSY = 2.5  # how much slower we let a busy one be


@pytest.fixture(params=NAMES)
def explorer(request: pytest.FixtureRequest) -> Explorer:
    return importlib.import_module(f"icnn.course.explore._{request.param}").EXPLORER


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a kernel that has just started."""
    monkeypatch.setattr(_explorer, "LEFT_AT", {})
    yield
    gc.unfreeze()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What was displayed, in order."""
    bundles: list[dict] = []
    monkeypatch.setattr(_explorer, "display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def any_value(control, state: State, chance: random.Random):
    """A value that the control can have; the ends often."""
    if isinstance(control, Choice):
        return chance.choice(control.options)
    steps = round((control.top(state) - control.low) / control.step)
    step = chance.choice([0, steps, chance.randint(0, steps)])
    return control.low + step * control.step


def walk(explorer: Explorer, steps: int, seed: int = 0) -> list[State]:
    """States that somebody reaches who moves one control after the other."""
    chance, states = random.Random(seed), [explorer.start()]
    for _ in range(steps):
        for control in explorer.controls:
            value = any_value(control, states[-1], chance)
            states.append(explorer.move(states[-1], control.name, value))
    return states


def writing(fig: Figure) -> list:
    """All texts but those of the ticks, which matplotlib keeps outside too."""
    found = [*fig.texts]
    for axes in fig.axes:
        found += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
    return [text for text in found if text.get_text()]


def test_every_picture_is_drawn_with_all_of_its_writing_in_it(explorer) -> None:
    for state in walk(explorer, 3):
        picture = explorer.picture(state)
        assert picture.html().startswith("<img alt=")
        inner = picture.fig.bbox.padded(1)
        for text in writing(picture.fig):
            box = text.get_window_extent()
            assert inner.contains(*box.p0) and inner.contains(*box.p1), text.get_text()


def test_a_state_stays_within_the_controls(explorer) -> None:
    for state in walk(explorer, 30, seed=1):
        assert set(state) == set(explorer.start())
        for control in explorer.controls:
            value = state[control.name]
            if isinstance(control, Choice):
                assert value in control.options
            else:
                assert control.low <= value <= control.top(state)


def test_the_picture_of_a_state_does_not_depend_on_the_way_or_the_notebook(explorer, shown) -> None:
    start = explorer.start()
    with matplotlib.rc_context(matplotlib.rcParamsDefault):
        first = explorer.picture(start).html()
    with matplotlib.rc_context():
        icnn.show.style()
        explorer.picture(walk(explorer, 1)[-1])
        getattr(icnn.explore, explorer.name)()
    assert shown[0]["text/html"].startswith(first) is True  # or pytest shows a page of base64


def test_the_alt_text_says_what_the_numbers_say(explorer) -> None:
    for state in walk(explorer, 2):
        picture = explorer.picture(state)
        assert len(picture.alt) > 100
        if explorer.name in ("filters", "replay"):
            assert picture.numbers in picture.alt
        elif explorer.name == "information":
            told = float(re.search(r"MI ([\d.]+)", picture.numbers).group(1))
            said = float(re.search(r"told ([\d.]+)", picture.alt).group(1))
            assert said == pytest.approx(told, abs=0.0051)
        else:
            best = re.search(r"at (\(\d+, \d+\)) · T", picture.numbers).group(1)
            assert f"best at {best}" in picture.alt
            assert f"row {state['row']}, column {state['column']}" in picture.alt


def test_a_picture_after_the_first_is_quick(explorer) -> None:
    states = walk(explorer, 2)
    explorer.picture(states[0]).html()
    seconds = []
    for state in states:
        start = time.process_time()
        explorer.picture(state).html()
        seconds.append(time.process_time() - start)
    assert sorted(seconds)[len(seconds) // 2] < BUSY * SECONDS


@pytest.mark.parametrize(("n", "beta", "row", "column"), [(14, 4.0, 9, 8), (5, 1.5, 0, 4)])
def test_templates_counts_as_one_would_by_hand(n, beta, row, column) -> None:
    x = _templates.example_map(n).tolist()

    def unit(i: int, j: int, mu: tuple[int, int]) -> float:
        return max(1 - beta * (abs(i - mu[0]) + abs(j - mu[1])) / n, -1)

    every = [(i, j) for i in range(n) for j in range(n)]
    fitness = {mu: sum(x[i][j] * unit(i, j, mu) for i, j in every) for mu in every}
    kept = sum(x[i][j] * max(unit(i, j, (row, column)), 0) for i, j in every)
    total = sum(map(sum, x))
    best = max(fitness, key=fitness.get)
    assert _templates.EXPLORER.picture(
        {"n": n, "beta": beta, "row": row, "column": column}
    ).numbers == (
        f"Fitness at μ = ({row}, {column}): {fitness[row, column]:+.2f} · best: "
        f"{fitness[best]:+.2f} at {best} · T⁻: {-total:+.2f} · kept by the mask: {kept / total:.1%}"
        f" · templates: {n * n + 1}"
    )


def test_a_wide_template_fits_between_the_spots_as_lesson_1_says() -> None:
    def best(beta: float) -> str:
        start = _templates.EXPLORER.start()
        numbers = _templates.EXPLORER.picture(start | {"beta": beta}).numbers
        return re.search(r"at (\(\d+, \d+\)) · T", numbers).group(1)

    assert [best(beta) for beta in (1.0, 3.0, 4.0)] == ["(7, 6)", "(7, 6)", "(4, 4)"]


def by_definition(maps: np.ndarray) -> dict[str, float]:
    """MI and the two doubts of four 3×3 maps, straight from p(T, x)."""
    cells = [(i, j) for i in range(3) for j in range(3)]
    s = np.zeros((4, 10))
    for b, flat in enumerate(maps):
        for t, mu in enumerate(cells):
            weights = [max(1 - 4 * (abs(i - mu[0]) + abs(j - mu[1])) / 3, -1) for i, j in cells]
            s[b, t] = np.dot(flat, weights)
        s[b, 9] = -np.sum(flat)
    joint = np.exp(s) / np.exp(s).sum(0) / 10  # p(T) p(x|T), every p(T) = 1/10
    p_x = joint.sum(1, keepdims=True)
    somewhere = joint[:, :9].sum(1, keepdims=True)
    two = np.concatenate([somewhere, joint[:, 9:]], 1)
    return {
        "MI": float((joint * np.log(joint / p_x * 10)).sum()),
        "whether": float(-(two * np.log(two / p_x)).sum()),
        "where": float(-(joint[:, :9] * np.log(joint[:, :9] / somewhere)).sum()),
    }


def test_information_is_that_of_the_definition() -> None:
    explorer = _information.EXPLORER
    for state in walk(explorer, 6, seed=2):
        numbers = explorer.picture(state).numbers
        for name, value in by_definition(np.array(state["maps"])).items():
            printed = float(re.search(rf"{name} (-?[\d.]+)", numbers).group(1))
            assert printed == pytest.approx(value, abs=0.00051)
            assert printed >= 0
    assert f"ln 4 = {math.log(4):.3f}" in numbers


def test_dragging_an_activation_changes_that_unit_only() -> None:
    move, state = _information.EXPLORER.move, _information.EXPLORER.start()
    before = np.array(state["maps"])
    for name, value in {"image": 3, "row": 1, "column": 2, "activation": 2.5}.items():
        state = move(state, name, value)
    after = np.array(state["maps"])
    changed = np.argwhere(after != before)
    assert changed.tolist() == [[2, 5]]
    assert after[2, 5] == 2.5
    state = move(state, "image", 1)
    assert state["activation"] == after[0, 5] == 0  # the slider shows the unit that is chosen now
    assert move(state, "start", "all silent")["maps"] == ((0.0,) * 9,) * 4


def test_the_beliefs_of_lesson_2() -> None:
    """A second spot that all maps share changes nothing; one that a single map lacks does."""
    explorer = _information.EXPLORER
    stained = explorer.move(explorer.start(), "start", "two spots each")
    assert explorer.picture(stained).numbers == explorer.picture(explorer.start()).numbers
    for name, value in {"row": 1, "column": 1, "activation": 0.0}.items():
        stained = explorer.move(stained, name, value)
    assert explorer.picture(stained).numbers.startswith("MI 0.713")
    off = explorer.picture(explorer.move(explorer.start(), "activation", 0.0)).numbers
    assert off.startswith("MI 0.607")


@pytest.fixture(scope="module")
def test_split() -> icnn.data.PartDataset:
    return icnn.data.creatures("test")


@pytest.mark.parametrize(("network", "layer"), [("plain", 5), ("interpretable", 2)])
def test_filters_are_measured_as_in_lesson_6(network, layer, test_split) -> None:
    model = icnn.checkpoints.load(network)
    found: list[torch.Tensor] = []
    last = model.backbone[3 * layer - 1]
    hook = last.register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
    with torch.no_grad():
        for batch in test_split.floats().split(500):
            model.backbone(batch)
    hook.remove()
    maps = torch.cat(found)
    flat = maps.flatten(2)
    scores, where = flat.max(-1)
    n, first, step = maps.shape[-1], 0.5, 64 // maps.shape[-1]
    points = first + step * torch.stack([where // n, where % n], -1).float()
    best = icnn.best_part_tracking(points, scores, test_split.landmarks)
    instability = icnn.location_instability(points, scores, test_split.landmarks, 64)
    by_category = torch.stack([flat[test_split.labels == c].mean((0, 2)) for c in range(5)])
    for filter, picture in ((0, 0), (8, 4), (maps.shape[1] - 1, 99)):
        numbers = _filters.draw(network, layer, filter, picture).numbers
        part, tracking = test_split.parts[best.part[filter]], float(best.tracking[filter])
        assert f"Tracks {part} ({tracking:.2f})" in numbers
        category = int(by_category[:, filter].argmax())
        share = float(by_category[category, filter] / by_category[:, filter].sum())
        assert f"category {test_split.categories[category]} " in numbers
        assert number_after(r"\(share ", numbers) == pytest.approx(share, abs=0.0051)
        assert number_after("instability ", numbers) == pytest.approx(
            float(instability[filter]), abs=0.00051
        )
        peak = float(scores[picture, filter])
        assert number_after("peak ", numbers) == pytest.approx(peak, abs=0.0051)
        rank = 1 + int((scores[:, filter] > scores[picture, filter] + 1e-4).sum())
        assert abs(number_after("rank ", numbers) - rank) <= 1
        side = {2: 9, 5: 33}[layer]
        assert numbers.endswith(f"sees {side}×{side} pixels")


def own_pictures(test_split, parts: bool) -> icnn.data.PartDataset:
    some = test_split.subset(slice(0, 40))
    landmarks, names = (some.landmarks, some.parts) if parts else (some.landmarks[:, :0], ())
    fields = {name: getattr(some, name) for name in ("images", "labels", "part_ids", "categories")}
    return icnn.data.PartDataset(**fields, landmarks=landmarks, parts=names)


@pytest.mark.parametrize("parts", [True, False], ids=["landmarks", "no landmarks"])
def test_filters_of_a_model_of_ones_own(parts, test_split, shown) -> None:
    model = icnn.checkpoints.load("interpretable")
    cnn = torch.nn.Sequential(*model.backbone)
    own = icnn.make_interpretable(cnn, 5, cut="14", image_size=64, width=7)
    data = own_pictures(test_split, parts)
    for network, filters in ((model, 48), (own, 7)):
        explorer = _filters.of_model(network, data)
        assert [c.top({}) for c in explorer.controls] == [filters - 1, 39]
        maps = icnn.predict(network.maps, data)
        for filter, picture in ((0, 0), (filters - 1, 39), (3, 17)):
            told = explorer.picture({"filter": filter, "picture": picture})
            assert told.numbers in told.alt
            unit, score = (
                divmod(int(maps[picture, filter].argmax()), 16),
                maps[picture, filter].max(),
            )
            assert f"peak {float(score):.2f} at unit {unit}, rank " in told.numbers
            assert ("instability" in told.numbers) == parts
            assert any("tracks" in text.get_text() for text in told.fig.texts) == parts
            assert told.numbers.startswith("Tracks " if parts else "Category ")
    told = _filters.of_model(model, data).picture({"filter": 8, "picture": 4}).numbers
    assert not parts or told.startswith("Tracks tail (")
    icnn.explore.filters(own, data)
    icnn.explore.filters()
    assert "Filter 0 of the last conv layer on picture 0" in shown[0]["text/html"]
    assert "Filter 8 of conv layer 5 of the interpretable" in shown[1]["text/html"]


def test_filters_of_what_is_no_model_or_no_pictures(test_split) -> None:
    model = icnn.checkpoints.load("plain")
    for wrong, name in (((model, None), "data"), ((model.backbone, test_split), "model")):
        with pytest.raises(TypeError, match=f"^{name} must be "):
            icnn.explore.filters(*wrong)
    with pytest.raises(ValueError, match=r"^data must be a PartDataset of 2 pictures"):
        icnn.explore.filters(model, test_split.subset(slice(0, 1)))


def number_after(word: str, text: str) -> float:
    return float(re.search(rf"{word}(-?[\d.]+)", text).group(1))


def test_what_lesson_6_says_about_filter_8(test_split) -> None:
    def distances(network: str) -> torch.Tensor:
        of = _filters.layers()[network][4]
        assert test_split.parts[of.part[8]] == "tail"
        points = of.field.pixels(of.units[:, 8])
        return (points - test_split.landmarks[:, of.part[8]]).norm(dim=1)

    own = distances("interpretable")[:100]
    labels = test_split.labels[:100]
    off = {test_split.categories[c]: int((own[labels == c] > 8).sum()) for c in range(5)}
    assert off["squirrel"] == 0 and off["cat"] >= 18 and off["elephant"] >= 18
    plain = _filters.layers()["plain"][4]
    assert distances("plain")[plain.scores[:, 8].topk(5).indices].max() < 5
    assert float(plain.tracking[8]) == pytest.approx(0.30, abs=0.01)
    mean = [float(of.tracking.nanmean()) for of in _filters.layers()["interpretable"]]
    assert mean[4] == pytest.approx(0.90, abs=0.01) and mean[3] == pytest.approx(0.53, abs=0.01)
    assert abs(mean[2]) < 0.1 and max(mean[:2]) < -0.3


def test_the_layers_have_as_many_filters_as_the_slider_allows() -> None:
    for network, found in _filters.layers().items():
        assert tuple(of.scores.shape[1] for of in found) == _filters.FILTERS, network


def test_the_recording_has_what_it_says() -> None:
    tape = recording.load()
    variants, epochs, filters, pictures = tape.maps.shape[:4]
    assert (variants, epochs, filters) == (len(recording.VARIANTS), 9, 5)
    assert epochs - 1 == _replay.EPOCHS and filters == _replay.FILTERS
    assert tape.maps.reshape(variants, epochs, filters, -1).max(-1).min() == 255
    assert tape.pictures.shape == (variants, filters, pictures)
    assert tape.accuracy.shape == (variants, epochs)
    assert sum(path.stat().st_size for path in recording.FOLDER.iterdir()) < 300_000


@pytest.mark.parametrize("variant", ["plain", "mask only"])
def test_the_recording_ends_with_the_shipped_network(variant, test_split) -> None:
    tape, v = recording.load(), recording.VARIANTS.index(variant)
    features = icnn.checkpoints.load(variant).backbone
    validation = icnn.data.creatures("validation")
    units, scores = icnn.peaks(icnn.predict(features, validation.floats()))
    points = icnn.unit_centres(features, 64).pixels(units)
    best = icnn.best_part_tracking(points, scores, validation.landmarks)
    filters = tape.filters.astype(int)
    np.testing.assert_allclose(tape.tracking[v, -1], best.tracking[filters], atol=1e-3)
    assert tape.part[v, -1].tolist() == best.part[filters].tolist()
    for f, number in enumerate(filters):
        pictures = test_split.floats(tape.pictures[v, f].tolist())
        maps = icnn.predict(features, pictures)[:, int(number)].numpy()
        step = tape.peak[v, -1, f] / 255
        np.testing.assert_allclose(tape.maps[v, -1, f] * step, maps, atol=0.51 * step)


def test_what_lesson_5_says_about_the_recording() -> None:
    tape = recording.load()
    plain, masked, inter = tape.tracking.round(2)
    assert inter[3:5, 0].tolist() == pytest.approx([0.29, 0.98])
    assert np.allclose([masked[2, 1:4], inter[2, 1:4]], 0.97, atol=0.021)
    assert np.all(tape.tracking[1:, 1, 1:4] < 0)
    assert plain[[2, 4, 8], 1].tolist() == pytest.approx([0.94, 0.23, 0.38])
    assert plain[8, 0] == pytest.approx(0.92)
    assert tape.accuracy[:, 2].round(2).tolist() == pytest.approx([0.40, 0.77, 0.76], abs=0.005)


def test_replay_shows_what_was_recorded(test_split) -> None:
    tape = recording.load()
    for state in walk(_replay.EXPLORER, 4, seed=3):
        v, f = recording.VARIANTS.index(state["variant"]), state["filter"] - 1
        numbers = _replay.EXPLORER.picture(state).numbers
        at = v, state["epoch"]
        assert numbers.startswith(
            f"Filter {tape.filters[f]}, {state['variant']}, epoch {state['epoch']}: tracks "
            f"{test_split.parts[tape.part[*at, f]]} {tape.tracking[*at, f]:.2f} "
        )
        assert numbers.endswith(f"accuracy of the network {tape.accuracy[at]:.3f}")
        inside = 0.0
        for x in tape.maps[*at, f].astype(float):
            i, j = np.unravel_index(x.argmax(), x.shape)
            rows, columns = np.indices(x.shape)
            mask = np.maximum(1 - 4 * (abs(rows - i) + abs(columns - j)) / 16, 0)
            inside += (x * mask).sum()
        share = 100 * inside / tape.maps[*at, f].sum(dtype=float)
        assert number_after("inside the mask ", numbers) == pytest.approx(share, abs=0.51)


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (lambda path: path.unlink(), FileNotFoundError, "is missing: get it back"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), ValueError, "truncated"),
        (lambda path: np.savez(path, maps=np.zeros(3)), ValueError, "truncated or was changed"),
    ],
)
def test_a_recording_that_is_not_the_shipped_one_is_refused(tmp_path, damage, error, says) -> None:
    for name in (recording.NAME, "SHA256SUMS"):
        (tmp_path / name).write_bytes((recording.FOLDER / name).read_bytes())
    assert recording.load(tmp_path).maps.size
    damage(tmp_path / recording.NAME)
    with pytest.raises(error, match=says):
        recording.load(tmp_path)


def test_an_older_recording_is_refused(tmp_path) -> None:
    from icnn._files import write_checksums

    np.savez(tmp_path / recording.NAME, maps=np.zeros(3))
    write_checksums(tmp_path)
    with pytest.raises(ValueError, match="has no accuracy, filters, part, peak, pictures"):
        recording.load(tmp_path)


def test_a_contact_sheet_marks_every_picture_at_its_own_place() -> None:
    axes, shown = Figure().add_subplot(), []
    for i in range(4):
        values = np.zeros((16, 16))
        values[2 * i, 0] = 1
        shown.append((np.zeros((3, 64, 64)), values, (20, 30)))
    icnn.show.contact_sheet(axes, shown, columns=3, limit=1)
    rings, crosses = axes.lines[::2], axes.lines[1::2]
    places = [line.get_xydata()[0].tolist() for line in rings]
    assert places == [[2, 2], [70, 10], [138, 18], [2, 94]]
    assert crosses[3].get_xydata()[0].tolist() == [30, 88]
    extents = [tuple(it.get_extent()) for it in axes.images]
    assert extents[0] == (0, 64, 64, 0) and extents[3] == (0, 64, 132, 68)
    assert (axes.get_xlim(), axes.get_ylim()) == ((0, 200), (132, 0))


def widget_of(bundle: dict) -> ipywidgets.VBox:
    name = bundle["application/vnd.jupyter.widget-view+json"]["model_id"]
    return ipywidgets.widgets.widget._instances[name]


def inputs_of(box: ipywidgets.VBox, explorer: Explorer) -> dict:
    names = [control.name for control in explorer.controls]
    return dict(zip(names, box.children[0].children, strict=True))


def figures_to_collect() -> int:
    return sum(type(it) is Figure for it in gc.get_objects())


def test_widgets_show_what_draw_gives(explorer, shown) -> None:
    getattr(icnn.explore, explorer.name)()
    box = widget_of(shown[0])
    inputs, (_, view) = inputs_of(box, explorer), box.children
    state, chance = explorer.start(), random.Random(4)
    for control in [*explorer.controls, *explorer.controls]:
        value = any_value(control, state, chance)
        inputs[control.name].value = value
        state = explorer.move(state, control.name, value)
        picture = explorer.picture(state)
        assert view.value == _explorer.live(picture.html())
        assert {name: it.value for name, it in inputs.items()} == {
            control.name: state[control.name] for control in explorer.controls
        }


def test_every_control_has_a_label_and_follows_the_keyboard_at_once(explorer, shown) -> None:
    getattr(icnn.explore, explorer.name)()
    inputs = inputs_of(widget_of(shown[0]), explorer)
    labels = [control.label for control in explorer.controls]
    assert [it.description for it in inputs.values()] == labels
    assert all(labels) and len(set(labels)) == len(labels)
    for it in inputs.values():
        assert getattr(it, "continuous_update", True)


def test_no_picture_has_to_wait_for_the_collection_of_older_ones(explorer, shown) -> None:
    getattr(icnn.explore, explorer.name)()
    inputs = inputs_of(widget_of(shown[0]), explorer)
    assert gc.get_freeze_count() > 0  # torch and the like are not looked through again
    before = figures_to_collect()
    for state in walk(explorer, 10):
        for name, widget in inputs.items():
            widget.value = state[name]
    assert figures_to_collect() <= before + 1


def test_running_the_cell_again_goes_on_where_one_was(explorer, shown) -> None:
    show = getattr(icnn.explore, explorer.name)
    show()
    before = inputs_of(widget_of(shown[0]), explorer)
    chance, start = random.Random(5), explorer.start()
    for control in explorer.controls:
        before[control.name].value = any_value(control, start, chance)
    show()
    after = inputs_of(widget_of(shown[1]), explorer)
    assert {name: it.value for name, it in after.items()} == {
        name: it.value for name, it in before.items()
    }
    assert shown[0]["text/html"] != shown[1]["text/html"]
    assert widget_of(shown[0]).children[1].value == widget_of(shown[1]).children[1].value


def test_a_smaller_map_takes_the_template_along(shown) -> None:
    icnn.explore.templates()
    inputs = inputs_of(widget_of(shown[0]), _templates.EXPLORER)
    inputs["n"].value = 4
    assert (inputs["row"].max, inputs["row"].value) == (3, 3)
    assert (inputs["column"].max, inputs["column"].value) == (3, 3)
    inputs["n"].value = 14
    assert (inputs["row"].max, inputs["row"].value) == (13, 3)


def test_without_ipywidgets_the_picture_is_there(explorer, shown, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    getattr(icnn.explore, explorer.name)()
    (bundle,) = shown
    assert set(bundle) == {"text/html", "text/plain"}
    picture = explorer.picture(explorer.start())
    assert picture.html() in bundle["text/html"]
    assert picture.numbers in bundle["text/html"]
    assert "where ipywidgets is installed" in bundle["text/plain"]


def test_a_saved_page_has_the_picture_and_runs_nothing(explorer, shown) -> None:
    getattr(icnn.explore, explorer.name)()
    page = shown[0]["text/html"]
    assert 'src="data:image/png;base64,' in page
    assert "Run this cell in JupyterLab" in page
    assert "onload" not in page and "script" not in page


def test_only_what_is_the_same_everywhere_is_compared(explorer, shown) -> None:
    getattr(icnn.explore, explorer.name)()
    text = shown[0]["text/plain"]
    if explorer.name == "filters":  # computed by a network, in floating point
        assert not re.search(r"\d\.\d", text)
    else:
        assert explorer.picture(explorer.start()).numbers in text


def test_an_unknown_explorer_is_named() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        icnn.explore.nonsense  # noqa: B018
