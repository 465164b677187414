"""What the lessons need and the method never imports: checkers, explorers, pictures, networks.

`show` draws, `check` checks exercises, `explore` has the explorers, `checkpoints` the shipped
networks; all are reachable as `icnn.NAME` as well. `zoo` drew the shipped pictures.
"""
