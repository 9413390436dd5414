"""The fault matrix: what goes wrong, what is to happen then, and within which bounds (`scripts/faults`)."""
