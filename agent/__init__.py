"""Lamppost on the camera: capture, mask, encode, seal, store — as far as a signed policy allows."""
