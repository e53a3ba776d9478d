"""The page of a commissioning window: aim, focus, draw private areas, propose, finish."""
