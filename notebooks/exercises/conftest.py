"""The sources are run and compared like lessons; a release is unfinished on purpose."""

collect_ignore_glob = ["release/*.ipynb"]
