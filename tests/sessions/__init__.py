"""Tests of the session records, on real SQLite files."""
