"""How lessons and tests are run and reported, for pytest: see tests/running.py."""

pytest_plugins = ["running"]
