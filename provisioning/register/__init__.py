"""The public register: what every camera of a city may do and did, made from what was signed and attested."""
