"""Grading that survives students: what `make release`, `make grade` and `make feedback` run.

collect → mend → execute (in a sandbox) → book: find the notebooks that were handed in, put what
students wrote into the teacher's notebook, run it within limits, and let nbgrader count and keep
the points. Nothing that was handed in is changed. See docs/teachers_guide.md.
"""
