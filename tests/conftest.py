"""What all tests share."""

# Imported first: the test plugin brings a package custom_components of its own, which would shadow ours.
import custom_components  # noqa: F401
