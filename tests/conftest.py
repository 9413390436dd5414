"""What all tests share."""

from asyncio import constants

import pytest

# Imported first: the test plugin brings a package custom_components of its own, which would shadow ours.
import custom_components  # noqa: F401

# They check, so their checks should say what was found.
pytest.register_assert_rewrite("tests.config_flow.inputs", "tests.config_flow.texts")

# In debug mode asyncio notes where each callback comes from; ten calls deep that takes a seventh of the time.
constants.DEBUG_STACK_DEPTH = 2
