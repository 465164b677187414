"""The experiments of lesson 10: the doubts about the method, each as something to measure.

`networks` are those that are trained, with the ways of `assignment`; `redundancy`, `transfer`,
`familiarity` and `faithfulness` measure. `make rethink` runs them all and writes data/rethink.
"""
