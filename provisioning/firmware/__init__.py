"""Check what the boards boot with, and what their cards are made of."""
