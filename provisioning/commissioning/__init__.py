"""Aim a camera, draw what must never be seen, and leave a signed record of it."""
