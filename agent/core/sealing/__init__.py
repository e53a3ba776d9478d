"""The age v1 format: header, stanzas, chunks, recipients. FORMAT.md tells it byte by byte."""
