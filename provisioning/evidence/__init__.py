"""Evidence: what a camera recorded, with all that shows it, for a court. FORMAT.md has the folder and its bytes."""
