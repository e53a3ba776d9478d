"""The only process that ever sees a picture: capture, mask, encode, seal, store, log."""
