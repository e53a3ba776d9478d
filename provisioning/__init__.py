"""Lamppost for people: the city's authority, the officials' tools, and whoever opens footage."""
