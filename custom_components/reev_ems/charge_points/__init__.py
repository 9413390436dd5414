"""The charge points of this Home Assistant: their OCPP servers, secrets, files and what they are asked."""
