"""A city in a minute: founded, signed, recorded, restricted, cut off, revoked, looked at."""
