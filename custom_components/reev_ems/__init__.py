"""The reev EMS integration: energy management for EV charging sites."""
