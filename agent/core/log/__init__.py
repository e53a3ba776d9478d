"""The camera's transparency log: leaves, Merkle tree, tiles, checkpoints. FORMAT.md has the bytes."""
