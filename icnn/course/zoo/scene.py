"""A creature, or none, in a picture: colours, background, clutter, pose, and the drawing itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from icnn.course.zoo.anatomy import Creature
from icnn.course.zoo.shapes import Capsule, Ellipse, Point, Shape, Triangle, point, towards, turned
from icnn.data.shipped import PARTS, SIDE, SPLITS, add_noise, categories_of

OUTLINE = 0.016 * SIDE
MARGIN = 0.07 * SIDE  # landmarks keep this distance from the border
CLUTTER = 9


@dataclass(frozen=True)
class Pose:
    """From a creature's frame to the picture: mirror, turn, scale, shift (in pixels)."""

    scale: float = 1.0
    tilt: float = 0.0
    mirror: float = 1.0
    shift: Point = field(default_factory=lambda: point(0, 0))

    def to_picture(self, p: Point) -> Point:
        return turned(point(p[0] * self.mirror, p[1]), self.tilt) * self.scale + self.shift

    def to_creature(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c, s = np.cos(self.tilt) / self.scale, np.sin(self.tilt) / self.scale
        x, y = x - self.shift[0], y - self.shift[1]
        return (c * x + s * y) * self.mirror, c * y - s * x


class Canvas:
    """An image (SIDE, SIDE, 3) in [0, 1] and, for each pixel, 1 + the part seen there."""

    def __init__(self) -> None:
        self.image = np.zeros((SIDE, SIDE, 3))
        self.part_ids = np.zeros((SIDE, SIDE), np.uint8)
        self.x, self.y = np.meshgrid(np.arange(SIDE) + 0.5, np.arange(SIDE) + 0.5)

    def paint(self, distance: np.ndarray, colour: np.ndarray, window=np.s_[:, :]) -> None:
        """Cover what lies inside, with an edge one pixel wide; distance in pixels."""
        cover = np.clip(0.5 - distance, 0, 1)[..., None]
        self.image[window] += cover * (colour - self.image[window])

    def draw(
        self,
        shapes: Sequence[Shape],
        pose: Pose,
        colour: np.ndarray,
        *,
        line: np.ndarray | None = None,
        texture: np.ndarray | None = None,
        part: int | None = None,
    ) -> None:
        """Draw a union of shapes, with an outline and a texture where they are given."""
        window = self._window(shapes, pose)
        x, y = pose.to_creature(self.x[window], self.y[window])
        distance = pose.scale * np.minimum.reduce([shape.distance(x, y) for shape in shapes])
        if line is not None:
            self.paint(distance - OUTLINE, line, window)
        self.paint(distance, colour if texture is None else colour * texture[window], window)
        if part is not None:
            self.part_ids[window][distance < 0] = part + 1

    def _window(self, shapes: Sequence[Shape], pose: Pose) -> tuple[slice, slice]:
        """The rows and columns that the shapes can reach."""
        circles = [
            (pose.to_picture(c), r * pose.scale + OUTLINE + 1)
            for c, r in (shape.circle() for shape in shapes)
        ]
        low = np.min([c - r for c, r in circles], axis=0).clip(0, SIDE).astype(int)
        high = np.ceil(np.max([c + r for c, r in circles], axis=0)).clip(0, SIDE).astype(int)
        return slice(low[1], high[1]), slice(low[0], high[0])


def draw(split: str, index: int, *, without: str | int | None = None, moved: bool = False):
    """One image of a split again: what `draw_scene` returns, from the image's own seed.

    Or the same image without one thing, or with the same creature `moved` before another
    background. ValueError if there is no such thing in any image.
    """
    if without not in (None, *PARTS, *range(CLUTTER)):
        raise ValueError(f"without must be one of {PARTS} or below {CLUTTER}, got {without!r}")
    seed = [list(SPLITS).index(split), index]
    return draw_scene(
        _generator(*seed),
        categories_of(split)[index],
        scrambled=split == "scrambled",
        without=without,
        other=_generator(*seed, 1) if moved else None,
    )


def _generator(*seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))


def draw_again(split: str, count: int, **changes) -> np.ndarray:
    """The first images of a split, with the noise that the loader adds: (N, 3, SIDE, SIDE) uint8.

    Changed, if wanted, as by `draw`. Used in lesson 10.
    """
    images = np.stack([draw(split, index, **changes)[0] for index in range(count)])
    return add_noise(images.transpose(0, 2, 3, 1), split).transpose(0, 3, 1, 2)


def draw_scene(
    rng: np.random.Generator,
    category: str | None,
    *,
    scrambled: bool = False,
    without: str | int | None = None,
    other: np.random.Generator | None = None,
):
    """A creature of a category, scrambled if each part has a place of its own, or None at all.

    Returns image (3, SIDE, SIDE) uint8, part_ids (SIDE, SIDE) uint8, and landmarks (7, 2) float32,
    (row, col) in pixels, NaN for parts that it does not have. `without` is a part, by name, or a
    loose shape of the background, by number, that is not painted; `other` draws the background. All
    else stays as it is.
    """
    canvas, palette = Canvas(), _palette(rng)
    _background(canvas, rng, palette, without)
    if other is not None:
        _background(canvas, other, palette)
    landmarks = np.full((len(PARTS), 2), np.nan, np.float32)
    if category is not None:
        creature = Creature(category, rng)
        poses = _poses(rng, creature, scrambled)
        texture = _texture(canvas, rng, poses["body"].scale)
        for piece in creature.pieces:
            if PARTS[piece.part] == without:
                continue
            canvas.draw(
                piece.shapes,
                poses[PARTS[piece.part]],
                palette[piece.colour],
                line=palette["line"] if piece.outlined else None,
                texture=texture if piece.textured else None,
                part=piece.part,
            )
        for name, place in creature.landmarks.items():
            landmarks[PARTS.index(name)] = poses[name].to_picture(place)[::-1]
    brightness = rng.uniform(0.85, 1.08)
    image = np.clip(canvas.image * brightness, 0, 1) * 255
    return np.rint(image).astype(np.uint8).transpose(2, 0, 1), canvas.part_ids, landmarks


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    """A colour (3,) from hue, saturation and value, each in [0, 1]."""
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    return value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1))


def _palette(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """The colours of one creature; they say nothing about its category."""
    hue = rng.uniform()
    main = hsv(hue, rng.uniform(0.3, 0.8), rng.uniform(0.65, 1))
    accent = hsv((hue + rng.uniform(0.25, 0.75)) % 1, rng.uniform(0.4, 0.85), rng.uniform(0.75, 1))
    light = main + 0.6 * (1 - main)
    return {
        "main": main,
        "dark": 0.78 * main,
        "line": 0.28 * main,
        "light": light,
        "accent": accent,
        "white": np.full(3, 0.98),
        "black": np.full(3, 0.08),
    }


def _background(
    canvas: Canvas, rng: np.random.Generator, palette: dict, without: str | int | None = None
) -> None:
    """A sky with a gradient, two hills, and clutter like loose parts of a creature."""
    hue = rng.uniform()
    above = hsv(hue, rng.uniform(0.08, 0.4), rng.uniform(0.4, 1))
    below = hsv(
        (hue + rng.uniform(-0.12, 0.12)) % 1, rng.uniform(0.15, 0.5), rng.uniform(0.4, 0.95)
    )
    direction = towards(rng.uniform(0, 2 * np.pi)) / SIDE
    along = (canvas.x - SIDE / 2) * direction[0] + (canvas.y - SIDE / 2) * direction[1] + 0.5
    canvas.image[:] = above + np.clip(along, 0, 1)[..., None] * (below - above)
    for _ in range(2):
        waves, phase = rng.uniform(0.5, 1.6), rng.uniform(0, 2 * np.pi)
        height, swing = rng.uniform(0.45, 1.05) * SIDE, rng.uniform(0.02, 0.09) * SIDE
        crest = height + swing * np.sin(2 * np.pi * waves * canvas.x / SIDE + phase)
        canvas.paint(crest - canvas.y, _muted(rng))
    for number in range(rng.binomial(CLUTTER, 0.75)):
        own = rng.choice(["main", "accent", "light", "dark"])
        other = hsv(rng.uniform(), rng.uniform(0.25, 0.8), rng.uniform(0.6, 1))
        colour = palette[own] if rng.uniform() < 0.5 else other
        shape = _loose_shape(rng)
        if number != without:
            canvas.draw([shape], Pose(), colour, line=0.4 * colour)


def _muted(rng: np.random.Generator) -> np.ndarray:
    return hsv(rng.uniform(), rng.uniform(0.15, 0.5), rng.uniform(0.4, 0.95))


def _loose_shape(rng: np.random.Generator) -> Shape:
    """An ellipse, a capsule or a triangle anywhere in the picture, in pixels."""
    middle = point(*rng.uniform(0, SIDE, 2))
    size, angle = rng.uniform(0.03, 0.12) * SIDE, rng.uniform(0, 2 * np.pi)
    flat = size * rng.uniform(0.35, 1)
    match rng.integers(3):
        case 0:
            return Ellipse(middle, size, flat, angle)
        case 1:
            end = towards(angle, 1.5 * size)
            return Capsule(middle - end, middle + end, 0.5 * flat, flat * rng.uniform(0.2, 0.6))
        case _:
            corners = [
                middle + towards(angle + turn, size * rng.uniform(0.8, 1.3))
                for turn in (0, 2.09, 4.19)
            ]
            return Triangle(*corners, grow=0.02 * size)


def _texture(canvas: Canvas, rng: np.random.Generator, scale: float) -> np.ndarray:
    """What a creature's colours are multiplied with: plain, stripes or spots; (SIDE, SIDE, 1)."""
    angle, frequency = rng.uniform(0, 2 * np.pi), rng.uniform(14, 24) / scale
    phases = rng.uniform(0, 2 * np.pi, 2)
    c, s = np.cos(angle) * frequency, np.sin(angle) * frequency
    across = np.sin(c * canvas.x + s * canvas.y + phases[0])
    along = np.sin(c * canvas.y - s * canvas.x + phases[1])
    kind, strength = rng.integers(3), 0.13 * rng.uniform(0.5, 1.3)
    waves = (0 * across, 4 * across, 6 * (across * along - 0.25))[kind]
    return 1 - strength * np.clip(waves, -1, 1)[..., None]


def _poses(rng: np.random.Generator, creature: Creature, scrambled: bool) -> dict[str, Pose]:
    """Where each part goes: all parts together, or each to a place of its own."""
    scale, tilt = rng.uniform(0.34, 0.46) * SIDE, rng.uniform(-0.35, 0.35)
    mirror = rng.choice([-1.0, 1.0])
    pose = Pose(scale, tilt, mirror)
    points = np.array([pose.to_picture(p) for p in creature.landmarks.values()])
    low, high = points.min(0), points.max(0)
    room = np.maximum(SIDE - 2 * MARGIN - (high - low), 0)
    shift = rng.uniform(size=2) * room + MARGIN - low
    poses = {part: Pose(scale, tilt, mirror, shift) for part in PARTS}
    if scrambled:
        for part, place in creature.landmarks.items():
            goal = rng.uniform(0.15 * SIDE, 0.85 * SIDE, 2)
            poses[part] = Pose(scale, tilt, mirror, goal - pose.to_picture(place))
    return poses
