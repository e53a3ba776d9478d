"""From `RawFrame` to `MaskedFrame`: zones, people, their union, and the rule that every failure hides more."""
