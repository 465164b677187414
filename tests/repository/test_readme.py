"""What README and the page on using the package print runs as it is printed, in this order."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import torch
import torchvision
from PIL import Image

import icnn

ROOT = Path(__file__).resolve().parent.parent.parent
README, USING = ROOT / "README.md", ROOT / "docs" / "using.md"


def test_the_snippets_run_as_printed(tmp_path, monkeypatch) -> None:
    for category, colour in (("cat", "red"), ("dog", "blue")):
        (tmp_path / "photos" / category).mkdir(parents=True)
        for side in (460, 470):
            Image.new("RGB", (side, side), colour).save(
                tmp_path / "photos" / category / f"{side}.png"
            )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(  # the download is replaced
        torchvision.models._api,
        "load_state_dict_from_url",
        lambda *args, **options: torchvision.models.resnet18(weights=None).state_dict(),
    )
    monkeypatch.setitem(icnn.fit.__wrapped__.__kwdefaults__, "epochs", 1)  # and the length
    text = README.read_text(encoding="utf-8") + USING.read_text(encoding="utf-8")
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 4
    names: dict = {}
    for snippet in snippets:
        exec(compile(snippet, "as printed", "exec"), names)
    assert names["loss"].requires_grad and names["loss"].isfinite()
    assert (len(names["train"]), len(names["validation"])) == (3, 1)
    assert names["model"](torch.rand(2, 3, 448, 448)).shape == (2, 2)
    assert (tmp_path / "training.pt").is_file()
    assert names["network"].layer4[1].size == 7 and names["network"].conv1.weight.grad is not None
    assert names["points"].shape == (1, 96, 2)


def test_the_steps_on_a_card_are_those_of_the_table() -> None:
    """Interpretable ÷ plain, as the page prints it, started one by one and as CUDA graphs."""
    with (ROOT / "benchmarks/results.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["device"] == "cuda"]
    ratio = {r["what"]: float(r["ratio"]) for r in rows if r["contestant"] == "interpretable"}
    names = ("training step", "vgg16, 32", "resnet18, 64", "alexnet, 128", "densenet121, 32")
    names = [name + " images" * ("," in name) for name in names]
    text = USING.read_text(encoding="utf-8")
    for title, kind in (("started one by one", ""), ("CUDA graph", ", CUDA graph")):
        assert f"| {title} | " + " | ".join(f"{ratio[n + kind]:.2f}" for n in names) + " |" in text
