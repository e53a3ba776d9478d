"""Configuration for brokers; nobody here writes one."""
