# Every command sets up .venv first; that takes no time when it is complete.
PYTHON ?= python3
VENV_PYTHON = .venv/bin/python
LESSON = notebooks/00_start_here.ipynb
# In a container one often is root; Jupyter wants to be told.
AS_ROOT = $(if $(filter 0,$(shell id -u)),--allow-root)

# The reader's own Python settings must not leak into the environment.
unexport PYTHONPATH
unexport PYTHONHOME
unexport PIP_USER
unexport PIP_TARGET

.PHONY: help environment lock lab test test-fast test-all test-machines test-gpu lessons data checkpoints ablations long photos benchmark exercises release grade feedback items rethink bands site recording

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

environment: ## make or mend .venv from requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)."; \
		echo "If you have one under another name: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) tools/set_up.py

lock: environment ## pin every package anew (ARGS="--upgrade-package torch": a newer one)
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --custom-compile-command "make lock" --all-extras $(ARGS) \
		--output-file requirements.lock pyproject.toml

lab: environment ## open lesson 0 in JupyterLab (ARGS=--no-browser: only print the address)
	@$(VENV_PYTHON) tools/check_environment.py
	$(VENV_PYTHON) -m jupyterlab --ip=127.0.0.1 --LabApp.default_url=/lab/tree/$(LESSON) \
		--LabApp.news_url=None $(AS_ROOT) $(ARGS)

test: environment ## run every test once: lint, package, lessons
	@$(VENV_PYTHON) tests/set_up_browser.py
	$(VENV_PYTHON) -m ruff check --no-cache .
	$(VENV_PYTHON) -m ruff format --no-cache --check .
	$(VENV_PYTHON) -m pytest -n auto --dist loadfile $(ARGS)

MATHEMATICS = templates information loss layer measure explain bad_input
test-fast: environment ## the mathematics only, within a minute on one core
	$(VENV_PYTHON) -m pytest $(MATHEMATICS:%=tests/method/test_%.py) $(ARGS)

test-all: environment ## everything again: a fresh clone, many more inputs, other machines
	$(VENV_PYTHON) tests/fresh_clone.py $(ARGS)
	$(VENV_PYTHON) tests/machines.py

test-gpu: environment ## what needs a graphics card (elsewhere it is skipped)
	$(VENV_PYTHON) -m pytest tests/method/test_gpu.py -rs $(ARGS)

test-machines: environment ## the lessons with other instruction sets and numbers of threads
	$(VENV_PYTHON) tests/machines.py

lessons: environment ## run the lessons and save their outputs (ARGS=notebooks/05_training.ipynb: one)
	$(VENV_PYTHON) tools/run_lessons.py $(ARGS)

bands: environment ## run the lessons, show which expected numbers moved, mend the bands they left
	$(VENV_PYTHON) tools/refresh_bands.py $(ARGS)

data: environment ## draw the shipped dataset again
	$(VENV_PYTHON) tools/make_data.py $(ARGS)

checkpoints: environment ## train the shipped networks again
	$(VENV_PYTHON) tools/make_checkpoints.py $(ARGS)

recording: environment ## record the training that lesson 5 replays again
	$(VENV_PYTHON) tools/make_recording.py

ablations: environment ## train the networks of lesson 8 again (goes on where it was interrupted)
	$(VENV_PYTHON) tools/make_tables.py ablations

long: environment ## train three networks of lesson 8 with fifty seeds, and for 500 epochs (goes on likewise)
	$(VENV_PYTHON) tools/make_tables.py long

rethink: environment ## run the experiments of lesson 10 again (goes on where it was interrupted)
	$(VENV_PYTHON) tools/make_tables.py rethink

exercises: environment ## make the students' exercises from the sources (ARGS=--check: only compare)
	$(VENV_PYTHON) classroom/make_exercises.py $(ARGS)

release: environment ## write the student versions and enter the sets into the gradebook
	$(VENV_PYTHON) classroom/grade.py release $(ARGS)

grade: environment ## grade what students handed in (SUBMISSIONS=folder)
	@test -n "$$SUBMISSIONS" || { echo "Which folder? make grade SUBMISSIONS=folder"; exit 1; }
	$(VENV_PYTHON) classroom/grade.py grade "$$SUBMISSIONS" $(ARGS)

feedback: environment ## write a page for each graded submission, and the table of grades
	$(VENV_PYTHON) classroom/grade.py feedback $(ARGS)

items: environment ## say how difficult each item was, and how well it tells students apart
	$(VENV_PYTHON) classroom/grade.py items $(ARGS)

site: environment ## build the pages of the lessons, exercises and reference in _site
	$(VENV_PYTHON) site/make_site.py $(ARGS)

photos: environment ## run the benchmark on photographs (ARGS="--root FOLDER --backbone vgg16")
	$(VENV_PYTHON) tools/run_photos.py $(ARGS)

benchmark: environment ## measure speed and memory, all in one run
	$(VENV_PYTHON) benchmarks/run.py $(ARGS)
	$(VENV_PYTHON) tools/make_pictures.py speed
