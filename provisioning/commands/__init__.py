"""One file per command; provisioning/__main__.py lists them."""
