"""Tests of the OCPP server: raw WebSocket clients against the real server on loopback."""
