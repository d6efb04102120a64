"""Coverage-guided fuzzing of everything that reads what strangers send: `python -m tests.fuzz`. Needs `.[fuzz]`."""
