"""A training that was interrupted goes on: all that its next epochs depend on, in one file."""

from dataclasses import dataclass
from pathlib import Path

import torch

from icnn._check_args import blaming
from icnn._files import replacing
from icnn.layer import InterpretableLayer


@dataclass
class Checkpoint:
    """The state of a training and the file it is kept in; without a path nothing is kept.

    Attributes:
        settings: what a training must have in common with the one that wrote the file.
        parts: the model first, and what else has a `state_dict`.
        generators: where its random numbers come from.
        history: a dataclass of lists, one entry for each finished epoch.
    """

    path: str | Path | None
    settings: dict[str, object]
    parts: tuple
    generators: tuple[torch.Generator, ...]
    history: object

    def load(self) -> None:
        """Go on where the file stopped; where there is none, start one with the first weights.

        Raises:
            ValueError: the file is of another training, or none that `save` wrote.
        """
        if self.path is None:
            return
        if not Path(self.path).exists():
            return self.save()
        with blaming(f"checkpoint must be a file that fit wrote, {self.path} is none", Exception):
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            written = state["settings"]
        other = [name for name, value in self.settings.items() if written.get(name) != str(value)]
        if other:
            raise ValueError(
                f"checkpoint must be of this training, {self.path} is of one with another "
                f"{', '.join(other)}: name another file, or delete it to begin anew"
            )
        for part, values in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(values)
        for generator, values in zip(self.generators, state["random"], strict=True):
            generator.set_state(values)
        for layer, earlier in zip(self._layers, state["memory"], strict=True):
            layer._earlier = earlier if earlier is None else earlier.to(layer.peak.device)
        vars(self.history).update(state["history"])

    def save(self) -> None:
        """Write the file, or leave the old one whole."""
        if self.path is None:
            return
        state = {
            "settings": {name: str(value) for name, value in self.settings.items()},
            "parts": [part.state_dict() for part in self.parts],
            "random": [generator.get_state() for generator in self.generators],
            "memory": [layer._earlier for layer in self._layers],
            "history": vars(self.history),
        }
        with replacing(self.path) as new:
            torch.save(state, new)

    @property
    def _layers(self) -> list[InterpretableLayer]:
        return [m for m in self.parts[0].modules() if isinstance(m, InterpretableLayer)]
