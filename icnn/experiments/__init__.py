"""What the tables of lessons 8 to 10 are made by; uses the method, and is used by no other room.

`ablation` (lesson 8), `photos` (9), `released` and `rethink` (10) are all reachable as `icnn.NAME`.
"""
