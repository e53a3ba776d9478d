"""The yearly report: what a city's cameras did, for whom, to what effect, drafted from logs and signed documents."""
