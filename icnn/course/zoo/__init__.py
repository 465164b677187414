"""How the creatures are drawn: shapes, of them an animal, and pictures of it. See `make data`."""
