"""The sealed layer, opened by several offices together, for one case."""
