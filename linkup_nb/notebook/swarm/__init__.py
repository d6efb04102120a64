"""The kernel's half of the Swarm tab."""
