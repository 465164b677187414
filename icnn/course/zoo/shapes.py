"""Three shapes by their signed distance: negative inside, positive outside, 0 on the edge.

Points are (x, y) with x to the right and y down, in units of the creature that they belong to.
"""

from dataclasses import dataclass

import numpy as np

Point = np.ndarray  # (2,) float64


def point(x: float, y: float) -> Point:
    """A point, or a step from one point to another."""
    return np.array([x, y], dtype=float)


def turned(p: Point, angle: float) -> Point:
    """The point turned about the origin; a positive angle turns right into down."""
    c, s = np.cos(angle), np.sin(angle)
    return point(c * p[0] - s * p[1], s * p[0] + c * p[1])


def towards(angle: float, length: float = 1.0) -> Point:
    """A step of a length in a direction."""
    return point(length * np.cos(angle), length * np.sin(angle))


@dataclass(frozen=True)
class Ellipse:
    """Half axes a and b, the first one turned by `angle`."""

    centre: Point
    a: float
    b: float
    angle: float = 0.0

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Not exact far away, where it does not matter; right near the edge."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        x, y = x - self.centre[0], y - self.centre[1]
        u, v = (c * x + s * y) / self.a, (c * y - s * x) / self.b
        radius = np.maximum(np.hypot(u, v), 1e-9)
        steepness = np.maximum(np.hypot(u / self.a, v / self.b), radius / max(self.a, self.b))
        return radius * (radius - 1) / steepness

    def circle(self) -> tuple[Point, float]:
        """A circle around it: centre and radius."""
        return self.centre, max(self.a, self.b)


@dataclass(frozen=True)
class Capsule:
    """A line with round ends whose radius goes from `r0` to `r1`."""

    start: Point
    end: Point
    r0: float
    r1: float

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        dx, dy = self.end - self.start
        x, y = x - self.start[0], y - self.start[1]
        along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy + 1e-12), 0, 1)
        return np.hypot(x - along * dx, y - along * dy) - (self.r0 + along * (self.r1 - self.r0))

    def circle(self) -> tuple[Point, float]:
        half = np.hypot(*(self.end - self.start)) / 2
        return (self.start + self.end) / 2, half + max(self.r0, self.r1)


@dataclass(frozen=True)
class Triangle:
    """Three corners, grown by `grow`."""

    p: Point
    q: Point
    r: Point
    grow: float = 0.015

    def distance(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        corners = [self.p, self.q, self.r]
        middle = sum(corners) / 3
        sides = []
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            normal = point(b[1] - a[1], a[0] - b[0])
            normal /= max(np.hypot(*normal), 1e-9) * -np.sign((middle - a) @ normal)
            sides.append((x - a[0]) * normal[0] + (y - a[1]) * normal[1])
        return np.maximum.reduce(sides) - self.grow

    def circle(self) -> tuple[Point, float]:
        middle = (self.p + self.q + self.r) / 3
        reach = max(np.hypot(*(corner - middle)) for corner in (self.p, self.q, self.r))
        return middle, reach + 3 * self.grow


Shape = Ellipse | Capsule | Triangle
