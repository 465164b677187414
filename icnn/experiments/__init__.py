"""What the tables of lessons 8 to 10 are made by; uses the method, and is used by no other room.

`ablation` (lesson 8), `photos` (lesson 9), `released` and `rethink` (lesson 10). All are reachable
as `icnn.NAME` as well.
"""
