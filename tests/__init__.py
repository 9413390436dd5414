"""Tests of reev EMS."""
