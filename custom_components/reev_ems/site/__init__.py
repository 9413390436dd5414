"""The site of a config entry: what the energy management is told of it, and what people set."""
