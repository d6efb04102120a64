"""The kernel's half of the Settings tab."""
