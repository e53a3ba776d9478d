"""The process that talks to the network: it sees ciphertext, signed documents and counters, never a picture."""
