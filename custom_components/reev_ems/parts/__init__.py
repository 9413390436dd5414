"""The parts of a site that have entities."""
