"""How large a bundle may be. A module of its own: the link carries bundles and never loads what opens them."""

MAX_BUNDLE_BYTES = 2 * 1024 * 1024  # a thousand documents of 2 KiB; read no more than this plus one
