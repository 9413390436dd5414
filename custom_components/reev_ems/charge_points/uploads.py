"""The receiver of what charge points upload: an address that takes one file, once, and closes by itself.

A charge point has no user here, and must not get one; the secret part of the address is all that it needs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
import os
from pathlib import Path
import re
import secrets
from typing import BinaryIO

from aiohttp import BodyPartReader
from aiohttp.web import Request, Response
from homeassistant.core import HassJob, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.dispatcher import async_dispatcher_send
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView
from homeassistant.helpers.network import NoURLAvailableError, get_url
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, LOGGER
from ..parts.charge_point import ChargePointPart

_URL = f"/api/{DOMAIN}/upload"

# Chargers pack their logs first, and many do so slowly.
OPEN_FOR = timedelta(minutes=15)
TRANSFER_TIMEOUT_S = 600.0

# The largest archive that a charger is known to make; a card with Home Assistant has room for a few.
MAX_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024
_MAX_OPEN = 20

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 80


@dataclass(slots=True)
class UploadReceiver:
    """An address that takes one file of one charge point."""

    url: str
    folder: Path
    signal: str
    close: Callable[[], None]
    is_busy: bool = False


_OPEN: HassKey[dict[str, UploadReceiver]] = HassKey(f"{DOMAIN}_uploads")


@callback
def async_setup_uploads(hass: HomeAssistant) -> None:
    """Register where files are received; without an open receiver nothing is."""
    hass.data[_OPEN] = {}
    hass.http.register_view(UploadView)


def upload_signal(subentry_id: str) -> str:
    """Return the signal that a file of a charge point was received, sent with its path."""
    return f"{DOMAIN}_upload_{subentry_id}"


@callback
def async_receive_upload(part: ChargePointPart) -> UploadReceiver:
    """Open an address for a file of a charge point. Raises HomeAssistantError."""
    hass = part.coordinator.hass
    receivers = hass.data[_OPEN]
    if len(receivers) >= _MAX_OPEN:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="too_many_uploads"
        )
    try:
        base = get_url(hass, allow_external=False, allow_cloud=False)
    except NoURLAvailableError as err:
        raise HomeAssistantError(
            translation_domain=DOMAIN, translation_key="no_internal_url"
        ) from err
    token = secrets.token_urlsafe()
    media = hass.config.media_dirs
    folder = Path(media.get("local") or next(iter(media.values())), DOMAIN)

    @callback
    def expire(_: object) -> None:
        """Close what nobody used."""
        receivers.pop(token, None)

    cancel = async_call_later(hass, OPEN_FOR, HassJob(expire, cancel_on_shutdown=True))

    @callback
    def close() -> None:
        """Take nothing any more."""
        cancel()
        receivers.pop(token, None)

    receiver = receivers[token] = UploadReceiver(
        url=f"{base}{_URL}/{token}",
        folder=folder / _safe(part.charge_point.id),
        signal=upload_signal(part.subentry_id),
        close=close,
    )
    return receiver


class UploadView(HomeAssistantView):
    """Takes the file that a charge point was asked for."""

    url = _URL + "/{token}"
    # Many put the name of the file behind the address.
    extra_urls = [_URL + "/{token}/{name}"]  # noqa: RUF012
    name = f"api:{DOMAIN}:upload"
    requires_auth = False

    async def put(self, request: Request, token: str, name: str = "") -> Response:
        """Take a file as the body of the request."""
        return await self._receive(request, token, name)

    async def post(self, request: Request, token: str, name: str = "") -> Response:
        """Take a file as the body of the request, or as part of a form."""
        return await self._receive(request, token, name)

    async def _receive(self, request: Request, token: str, name: str) -> Response:
        """Store the file; a transfer that breaks off may be tried again."""
        hass = request.app[KEY_HASS]
        receiver = hass.data[_OPEN].get(token)
        if receiver is None or receiver.is_busy:
            return Response(status=HTTPStatus.NOT_FOUND)
        if (request.content_length or 0) > MAX_BYTES:
            return Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        receiver.is_busy = True
        try:
            async with asyncio.timeout(TRANSFER_TIMEOUT_S):
                path = await _store(hass, request, receiver.folder, name)
        except _TooLargeError:
            return Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except ValueError:
            return Response(status=HTTPStatus.BAD_REQUEST)
        except OSError as err:
            LOGGER.error("What a charge point uploads cannot be stored: %s", err)
            return Response(status=HTTPStatus.INSUFFICIENT_STORAGE)
        finally:
            receiver.is_busy = False
        receiver.close()
        async_dispatcher_send(hass, receiver.signal, str(path))
        return Response(status=HTTPStatus.CREATED)


class _TooLargeError(Exception):
    """A file is larger than it may be."""


async def _store(
    hass: HomeAssistant, request: Request, folder: Path, name: str
) -> Path:
    """Write the file of a request and return where it is."""
    chunks: AsyncIterator[bytes] = aiter(request.content.iter_chunked(_CHUNK_BYTES))
    if request.content_type.startswith("multipart/"):
        part = await _file_part(request)
        name = part.filename or name
        chunks = _chunks(part)
    stamp = dt_util.now().strftime("%Y%m%d-%H%M%S")
    path = folder / f"{stamp}-{_safe(name) or 'diagnostics'}"
    partial = path.with_name(f"{path.name}.part")

    def begin() -> BinaryIO:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # What a charge point tells of itself may hold its password, and id tags.
        return os.fdopen(
            os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
        )

    file = await hass.async_add_executor_job(begin)
    complete = False
    try:
        size = 0
        async for chunk in chunks:
            size += len(chunk)
            if size > MAX_BYTES:
                raise _TooLargeError
            await hass.async_add_executor_job(file.write, chunk)
        complete = True
    finally:

        def end() -> None:
            file.close()
            if complete:
                partial.replace(path)
            else:
                partial.unlink()

        await hass.async_add_executor_job(end)
    return path


async def _file_part(request: Request) -> BodyPartReader:
    """Return the first file of a form. Raises ValueError."""
    reader = await request.multipart()
    while (part := await reader.next()) is not None:
        if isinstance(part, BodyPartReader) and part.filename:
            return part
    raise ValueError("the form has no file")


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    """Yield the content of a file in a form."""
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        yield chunk


def _safe(name: str) -> str:
    """Return a name that is good for a file and leads nowhere else."""
    return _UNSAFE.sub("_", Path(name).name).strip("._")[:_MAX_NAME]
