"""Sealed footage as people find it, on a card or in a folder: what is there, and what opens."""
