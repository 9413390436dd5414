"""What the simulator's tests share."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from simulator.site import Site, running_site
from simulator.site_file import parse_site

from .csms import Csms, running_csms
from .sites import Json, charge_point, site

type Running = Callable[..., AbstractAsyncContextManager[Site]]


@pytest.fixture
async def csms(socket_enabled: None) -> AsyncIterator[Csms]:
    """A central system."""
    async with running_csms() as central_system:
        yield central_system


@pytest.fixture
def protocol() -> str:
    """What the charge points speak; a module may choose another one."""
    return "ocpp1.6"


@pytest.fixture
def running(csms: Csms, protocol: str) -> Running:
    """Run charge points that connect to the central system and have nothing to complain about."""

    @asynccontextmanager
    async def run(*charge_points: Json) -> AsyncIterator[Site]:
        config = parse_site(
            site(
                *(
                    given | {"protocol": protocol}
                    for given in charge_points or (charge_point(),)
                )
            ),
            csms=csms.url,
        )
        async with running_site(config) as started:
            for each in started.charge_points.values():
                each.outbox.retry_s = 0.1
                each.link.config = replace(each.link.config, retry_s=0.1)
            yield started
            complaints = [
                complaint
                for each in started.charge_points.values()
                for complaint in each.link.complaints
            ]
            assert complaints == []

    return run
