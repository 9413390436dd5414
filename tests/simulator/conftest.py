"""What the simulator's tests share."""

from collections.abc import AsyncIterator

import pytest

from .csms import Csms, running_csms


@pytest.fixture
async def csms(socket_enabled: None) -> AsyncIterator[Csms]:
    """A central system."""
    async with running_csms() as central_system:
        yield central_system
