"""The static pages of `make site`: text and formulas, notebooks, the reference, run times.

`page` knows where a page lies and what stands around it; `text` and `notebook` turn what the
repository holds into html; `reference` and `times` make pages that it does not hold.
"""
