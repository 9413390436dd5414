"""The control endpoint: HTTP on loopback, GET /state and POST /command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from json import JSONDecodeError

from aiohttp import web

from .commands import CommandError, execute
from .site import Site
from .site_file import SiteError
from .state import state_of

_SITE: web.AppKey[Site] = web.AppKey("site", Site)
_LARGEST_COMMAND = 64 * 1024


async def _state(request: web.Request) -> web.Response:
    return web.json_response(state_of(request.app[_SITE]))


async def _command(request: web.Request) -> web.Response:
    try:
        command = await request.json()
    except JSONDecodeError, UnicodeDecodeError:
        return web.json_response({"error": "JSON is needed"}, status=400)
    if not isinstance(command, dict):
        return web.json_response({"error": "a JSON object is needed"}, status=400)
    try:
        await execute(request.app[_SITE], command)
    except CommandError as error:
        return web.json_response({"error": str(error)}, status=400)
    return web.json_response({"ok": True})


@asynccontextmanager
async def control_endpoint(site: Site, port: int) -> AsyncIterator[int]:
    """Serve the control endpoint within a block; gives the port, which is a free one if 0 was asked for.

    Raises:
        SiteError: the port is taken.
    """
    app = web.Application(client_max_size=_LARGEST_COMMAND)
    app[_SITE] = site
    app.add_routes([web.get("/state", _state), web.post("/command", _command)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        server = web.TCPSite(runner, "127.0.0.1", port)
        try:
            await server.start()
        except OSError as error:
            raise SiteError(
                f"control port {port}: {error.strerror or error}"
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
