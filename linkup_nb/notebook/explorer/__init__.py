"""The kernel's half of the Drive tab."""
