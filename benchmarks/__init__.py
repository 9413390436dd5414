"""How long the energy management takes."""
