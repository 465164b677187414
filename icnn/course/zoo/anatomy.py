"""What each creature is made of: a list of coloured pieces, and a landmark for each part.

Everything is in the creature's own frame: the body's middle at (0, 0), facing right, y down, and a
body about 0.9 long. Proportions and pose are random; `scene` puts it into a picture.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import pi

import numpy as np

from icnn.course.zoo.shapes import Capsule, Ellipse, Point, Shape, Triangle, point, towards, turned
from icnn.data.shipped import PARTS

# Length and height of half a body, and how far its front is raised.
TORSO = {
    "cat": (0.45, 0.25, 0.0),
    "rabbit": (0.40, 0.28, 0.08),
    "bird": (0.40, 0.27, -0.35),
    "elephant": (0.46, 0.34, 0.0),
    "squirrel": (0.45, 0.25, 0.0),
    "dino": (0.45, 0.25, 0.0),
}


@dataclass(frozen=True)
class Piece:
    """A union of shapes in one colour; `part` is an index into PARTS."""

    part: int
    colour: str
    shapes: list[Shape]
    textured: bool = True
    outlined: bool = True


class Creature:
    """One creature, built from the back to the front.

    Attributes: `pieces` in the order of drawing, `landmarks` part name → point.
    """

    def __init__(self, category: str, rng: np.random.Generator) -> None:
        self.category, self.rng = category, rng
        self.pieces: list[Piece] = []
        self.landmarks: dict[str, Point] = {}
        long, high, raised = TORSO[category]
        self.long, self.high = long * self._about(1, 0.06), high * self._about(1, 0.06)
        self.lean = raised + rng.normal() * 0.08
        self.nod = rng.uniform(-0.4, 0.4)
        self.flap = rng.normal() * 0.12
        reach = point(0.17, -0.10 if category == "elephant" else -0.22)
        neck = turned(point(0.72 * self.long, -0.55 * self.high), self.lean)
        self.head = neck + turned(reach, self.nod + rng.normal() * 0.1)
        self._tail()
        self._legs()
        self._body()
        self._ears()
        self._head()
        self._face()

    def _add(self, part: str, colour: str, *shapes: Shape, **look: bool) -> None:
        self.pieces.append(Piece(PARTS.index(part), colour, list(shapes), **look))

    def _about(self, value: float, spread: float) -> float:
        return value + self.rng.normal() * spread

    def _on_head(self, x: float, y: float) -> Point:
        return self.head + turned(point(x, y), self.nod)

    def _chain(self, part: str, colour: str, at: Point, turn: tuple, length: float, radii: tuple):
        """Add a curved limb, by first angle and bend: capsules in a row. Returns its joints."""
        joints, links, (angle, bend) = [at], [], turn
        for thick, thin in pairwise(radii):
            joints.append(joints[-1] + towards(angle, length / (len(radii) - 1)))
            links.append(Capsule(joints[-2], joints[-1], thick, thin))
            angle += bend / (len(radii) - 1)
        self._add(part, colour, *links)
        return joints

    def _tail(self) -> None:
        rng = self.rng
        hip = turned(point(-0.88 * self.long, -0.15 * self.high), self.lean)
        match self.category:
            case "cat":
                turn = pi + rng.uniform(0.1, 0.9), rng.uniform(0.6, 1.8)
                even = (0.05, 0.048, 0.045, 0.042, 0.04)
                self.landmarks["tail"] = self._chain("tail", "main", hip, turn, 0.62, even)[3]
            case "rabbit":
                middle = hip + point(-0.06, -0.02)
                tufts = ((0, 0, 0.13), (-0.06, -0.05, 0.08), (-0.05, 0.06, 0.08))
                balls = [Ellipse(middle + point(x, y), r, r) for x, y, r in tufts]
                self._add("tail", "light", *balls, textured=False)
                self.landmarks["tail"] = middle
            case "bird":
                fan = self.lean + rng.normal() * 0.25
                for side in (-0.25, 0.25):
                    tips = [turned(point(-0.36, y), fan + side) for y in (-0.16, 0.08)]
                    feather = Triangle(hip + point(0.08, 0), hip + tips[0], hip + tips[1])
                    self._add("tail", "dark", feather)
                self.landmarks["tail"] = hip + turned(point(-0.24, -0.04), fan)
            case "elephant":
                turn = pi - rng.uniform(0.5, 1.2), rng.uniform(-0.6, 0.6)
                thin = (0.028, 0.025, 0.022)
                tip = self.landmarks["tail"] = self._chain("tail", "dark", hip, turn, 0.30, thin)[2]
                self._add("tail", "line", Ellipse(tip, 0.06, 0.045, rng.uniform(0, pi)))
            case "squirrel":
                turn = pi + rng.uniform(0.2, 0.6), rng.uniform(1.2, 2.2)
                bushy, hip = (0.10, 0.12, 0.14, 0.16, 0.18, 0.19), hip + point(0.04, 0.02)
                self.landmarks["tail"] = self._chain("tail", "dark", hip, turn, 0.66, bushy)[4]
            case "dino":
                turn = pi + rng.uniform(-0.5, 0.2), rng.uniform(-0.3, 0.7)
                taper, hip = (0.17, 0.13, 0.095, 0.06, 0.02), hip + point(0.1, 0)
                self.landmarks["tail"] = self._chain("tail", "main", hip, turn, 0.62, taper)[2]

    def _legs(self) -> None:
        """Two far legs, darker, then two near ones; a bird has one of each."""
        bird = self.category == "bird"
        places = (
            ((-0.066, True), (-0.06, False))
            if bird
            else ((0.26, True), (-0.22, True), (0.20, False), (-0.28, False))
        )
        length = 0.24 if self.category == "rabbit" else 0.30
        radius = 0.095 if self.category == "elephant" else 0.06
        feet = []
        for x, far in places:
            top = point(x * self.long / 0.45, 0.62 * self.high)
            foot = top + towards(pi / 2 + self.rng.uniform(-0.42, 0.42), length)
            if bird:
                toes = [foot + point(0.11, 0.02), foot + point(0.06, 0.07)]
                claws = [Capsule(foot, toe, 0.03, 0.02) for toe in toes]
                shin = Capsule(top, foot, 0.028, 0.028)
                self._add("leg", "accent", shin, *claws, textured=False)
            else:
                shin = Capsule(top, foot, radius, 0.85 * radius)
                paw = Capsule(foot, foot + point(0.05, 0), 0.85 * radius, 0.8 * radius)
                self._add("leg", "dark" if far else "main", shin, paw)
            feet.append(foot)
        self.landmarks["leg"] = sum(feet) / len(feet)

    def _body(self) -> None:
        if self.category == "dino":
            self._spikes()
        self._add("body", "main", Ellipse(point(0, 0), self.long, self.high, self.lean))
        belly = turned(point(0.05 * self.long, 0.42 * self.high), self.lean)
        patch = Ellipse(belly, 0.62 * self.long, 0.42 * self.high, self.lean)
        self._add("body", "light", patch, textured=False, outlined=False)
        self.landmarks["body"] = point(0, 0)
        if self.category == "bird":
            shoulder = point(0.06, -0.06)
            half = turned(point(-0.21, 0.01), self.rng.uniform(-0.5, 0.9))
            angle = float(np.arctan2(half[1], half[0]))
            self._add("wing", "dark", Ellipse(shoulder + half, 0.27, 0.13, angle))
            self.landmarks["wing"] = shoulder + half

    def _spikes(self) -> None:
        """The wings of a dinosaur are the spikes on its back."""
        for x in (-0.75, -0.4, 0.0, 0.4):
            out = point(0.5 * x, -1.0) / np.hypot(0.5 * x, 1.0)
            side = 0.10 * point(-out[1], out[0])
            foot = point(self.long * x, -0.85 * self.high * np.sqrt(1 - x * x))
            foot = turned(foot, self.lean)
            spike = Triangle(foot - side, foot + side, foot + 0.22 * out)
            self._add("wing", "accent", spike, textured=False)
        self.landmarks["wing"] = turned(point(-0.2 * self.long, -1.1 * self.high), self.lean)

    def _ears(self) -> None:
        match self.category:
            case "cat" | "squirrel":
                wide = 1.0 if self.category == "cat" else 0.8
                for x, colour in ((-0.13, "dark"), (0.09, "main")):
                    left = self._on_head(x - 0.09 * wide, -0.12)
                    right = self._on_head(x + 0.09 * wide, -0.14)
                    tip = point(1.5 * x, -0.40 * wide - 0.02)
                    tip = self.head + turned(tip, self.nod + 0.6 * self.flap)
                    self._add("ear", colour, Triangle(left, right, tip))
                self.landmarks["ear"] = self._on_head(-0.03, -0.25)
            case "rabbit":
                middles = []
                for x, colour, spread in ((-0.14, "dark", -0.35), (0.02, "main", 0.05)):
                    angle = self.nod + spread + 2 * self.flap
                    middle = self._on_head(x, -0.15) + turned(point(0, -0.24), angle)
                    self._add("ear", colour, Ellipse(middle, 0.085, 0.28, angle))
                    inside = Ellipse(middle, 0.04, 0.19, angle)
                    self._add("ear", "light", inside, textured=False, outlined=False)
                    middles.append(middle)
                self.landmarks["ear"] = sum(middles) / 2
            case "bird":  # a crest of three feathers
                root = self._on_head(0, -0.2)
                for angle in (-0.5, -0.1, 0.3):
                    tip = root + turned(point(-0.06, -0.15), self.nod + angle)
                    self._add("ear", "accent", Capsule(root, tip, 0.03, 0.03), textured=False)
                self.landmarks["ear"] = self._on_head(-0.02, -0.29)

    def _head(self) -> None:
        radius = (0.25 if self.category == "elephant" else 0.23) * self._about(1, 0.06)
        self._add("head", "main", Ellipse(self.head, radius, 0.93 * radius, self.nod))
        self.landmarks["head"] = self.head
        if self.category == "dino":
            snout = Ellipse(self._on_head(0.22, 0.06), 0.16, 0.11, self.nod)
            self._add("face", "main", snout)
        x = 0.09 if self.category == "elephant" else 0.07
        eye = (
            ("white", 0, 0, 0.072),
            ("black", 0.022, 0.008, 0.043),
            ("white", 0.03, -0.014, 0.014),
        )
        for colour, dx, dy, r in eye:
            spot = Ellipse(self._on_head(x + dx, -0.05 + dy), r, r)
            outlined = colour == "white" and r > 0.05
            self._add("head", colour, spot, textured=False, outlined=outlined)

    def _face(self) -> None:
        """A nose, a beak, a trunk or a snout."""
        rng = self.rng
        match self.category:
            case "cat" | "rabbit" | "squirrel":
                muzzle = Ellipse(self._on_head(0.15, 0.09), 0.11, 0.085, self.nod)
                self._add("head", "light", muzzle, textured=False, outlined=False)
                nose = self._on_head(0.20, 0.05)
                if self.category == "rabbit":
                    teeth = Capsule(nose + point(0, 0.06), nose + point(0, 0.11), 0.03, 0.03)
                    self._add("face", "white", teeth, textured=False)
                self._add("face", "accent", Ellipse(nose, 0.05, 0.04, self.nod), textured=False)
                self.landmarks["face"] = nose
            case "bird":
                gape = rng.uniform(0.02, 0.09)
                bills = (
                    ((0.17, -0.09), (0.17, 0.04), (0.44, -gape)),
                    ((0.17, 0.01), (0.16, 0.11), (0.36, gape + 0.06)),
                )
                for corners in bills:
                    bill = Triangle(*(self._on_head(*corner) for corner in corners))
                    self._add("face", "accent", bill, textured=False)
                self.landmarks["face"] = self._on_head(0.30, 0.03)
            case "elephant":
                down = self.nod + rng.uniform(0.5, 1.1)
                turn = down, rng.uniform(0.14, 1.54) * rng.choice([-1.0, 1.0])
                nose, trunk = self._on_head(0.17, 0.08), (0.085, 0.076, 0.068, 0.059, 0.05)
                self.landmarks["face"] = self._chain("face", "main", nose, turn, 0.50, trunk)[3]
                tusk = Capsule(self._on_head(0.13, 0.14), self._on_head(0.26, 0.24), 0.03, 0.015)
                self._add("face", "white", tusk, textured=False)
                ear = self._on_head(-0.13, 0.02)
                flap = Ellipse(ear, 0.19 * (1 + 0.6 * self.flap), 0.24, self.nod + self.flap)
                self._add("ear", "dark", flap)
                self.landmarks["ear"] = ear
            case "dino":
                nostril = Ellipse(self._on_head(0.32, 0.02), 0.02, 0.02)
                self._add("face", "line", nostril, textured=False, outlined=False)
                self.landmarks["face"] = self._on_head(0.22, 0.06)
