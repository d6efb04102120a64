"""The eight lessons, a file each, and what they have in common."""
