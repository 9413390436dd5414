"""Repair issues: what a person has to know of and can do something about."""
