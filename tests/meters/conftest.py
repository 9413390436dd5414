"""Profiles, gateways and sockets for the tests of the meters."""

from collections.abc import AsyncGenerator

import pytest

from custom_components.reev_ems.meters import (
    LoadedProfiles,
    ModbusGateways,
    load_profiles,
)


@pytest.fixture(scope="session")
def loaded() -> LoadedProfiles:
    """The built-in profiles."""
    return load_profiles()


@pytest.fixture
async def gateways(socket_enabled: None) -> AsyncGenerator[ModbusGateways]:
    """Gateways with a short patience, so that the tests of silence are short too."""
    found = ModbusGateways(request_timeout_s=0.3)
    yield found
    await found.close()
