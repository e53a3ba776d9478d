"""One technology each. An adapter touches the world and decides nothing."""
