"""What the lessons need and the method never imports: checkers, explorers, pictures, networks.

`show` draws, `check` checks exercises, `explore` has the explorers, `checkpoints` the shipped
networks. These are reachable as `icnn.NAME` as well. `zoo` is how the shipped pictures were
drawn.
"""
