#!/usr/bin/env bash
# jupytext 1.19.6: a picture pasted into a Markdown cell is gone after a round trip.
# Guess (0.55): it comes back, or jupytext says that it cannot be kept.
# Seen: neither as a script nor as Markdown; the text still names the attachment. The metadata that graders
# need does come back, so that a written answer looks complete and has lost its drawing.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/python -m pip install --quiet uv==0.13.9
venv/bin/uv pip install --quiet --python venv jupytext==1.19.6 nbformat==5.11.1
venv/bin/python - <<'PY'
import jupytext
import nbformat

grading = {"nbgrader": {"grade_id": "answer", "grade": True, "points": 2}}
pasted = {"drawing.png": {"image/png": "iVBORw0KGgo="}}
text = "![](attachment:drawing.png)"
cell = nbformat.v4.new_markdown_cell(text, attachments=pasted, metadata=grading)
for form in ("py:percent", "md", "md:myst"):
    written = jupytext.writes(nbformat.v4.new_notebook(cells=[cell]), form)
    (back,) = jupytext.reads(written, form).cells
    print(form, dict(back))
    assert back.source == text and back.metadata == grading and "attachments" not in back
PY
