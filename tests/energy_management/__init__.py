"""Tests of the energy management."""
