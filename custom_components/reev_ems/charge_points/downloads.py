"""What a person downloads from a form: the certificate of our authority, and those made for charge points."""

from dataclasses import dataclass
from datetime import timedelta
from html import escape
from http import HTTPStatus
from io import BytesIO
import secrets
from zipfile import ZipFile

from aiohttp.web import Request, Response
from homeassistant.components.http.auth import async_sign_path
from homeassistant.core import HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.helpers.http import KEY_HASS, HomeAssistantView
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..ocpp_server import tls
from .certificates import async_note_certificate
from .security import async_authority

_AUTHORITY_URL = f"/api/{DOMAIN}/authority"
_BUNDLE_URL = f"/api/{DOMAIN}/certificate"

# As long as a form stays open while somebody walks to the charger.
LINK_LIFE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Bundle:
    """A certificate with its private key and the authority's, packed."""

    charge_point_id: str
    certificate: bytes
    content: bytes


# By the secret part of their address; each can be fetched once.
_BUNDLES: HassKey[dict[str, _Bundle]] = HassKey(f"{DOMAIN}_bundles")
_MAX_BUNDLES = 20


@callback
def async_setup_downloads(hass: HomeAssistant) -> None:
    """Register where downloads are fetched."""
    hass.data[_BUNDLES] = {}
    hass.http.register_view(AuthorityView)
    hass.http.register_view(BundleView)


def authority_link(hass: HomeAssistant) -> str:
    """Return a link to our authority's certificate, for the person who sees the form."""
    return _link(async_sign_path(hass, _AUTHORITY_URL, LINK_LIFE), tls.AUTHORITY_FILE)


async def async_bundle_link(hass: HomeAssistant, charge_point_id: str) -> str:
    """Return a link to a new certificate for a charge point, with its key. Raises OSError and ValueError."""
    authority = await async_authority(hass)

    def make() -> _Bundle:
        certificate, key = authority.charge_point_certificate(charge_point_id)
        content = BytesIO()
        with ZipFile(content, "w") as archive:
            archive.writestr("certificate.pem", certificate)
            archive.writestr("key.pem", key)
            archive.writestr(tls.AUTHORITY_FILE, authority.pem)
        return _Bundle(charge_point_id, certificate, content.getvalue())

    bundles = hass.data[_BUNDLES]
    token = secrets.token_urlsafe()
    bundles[token] = await hass.async_add_executor_job(make)
    while len(bundles) > _MAX_BUNDLES:
        bundles.pop(next(iter(bundles)))

    @callback
    def forget(_: object) -> None:
        """Drop a key that nobody fetched."""
        bundles.pop(token, None)

    async_call_later(hass, LINK_LIFE, HassJob(forget, cancel_on_shutdown=True))
    path = async_sign_path(hass, f"{_BUNDLE_URL}/{token}", LINK_LIFE)
    return _link(path, _bundle_name(charge_point_id))


def _bundle_name(charge_point_id: str) -> str:
    """Return what the file is called."""
    return f"{charge_point_id}.zip"


def _link(path: str, name: str) -> str:
    """Return a link that the frontend does not take for one of its own pages: with a target."""
    return f'<a href="{escape(path)}" target="_blank">{escape(name)}</a>'


def _file(name: str, content: bytes, content_type: str) -> Response:
    """Return a file to save."""
    return Response(
        body=content,
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


class AuthorityView(HomeAssistantView):
    """The certificate that charge points have to trust."""

    url = _AUTHORITY_URL
    name = f"api:{DOMAIN}:authority"

    async def get(self, request: Request) -> Response:
        """Return it."""
        authority = await async_authority(request.app[KEY_HASS])
        return _file(tls.AUTHORITY_FILE, authority.pem, "application/x-pem-file")


class BundleView(HomeAssistantView):
    """A certificate with its private key, once."""

    url = _BUNDLE_URL + "/{token}"
    name = f"api:{DOMAIN}:certificate"

    async def get(self, request: Request, token: str) -> Response:
        """Return it and forget it; from now on it is good."""
        hass = request.app[KEY_HASS]
        found = hass.data[_BUNDLES].pop(token, None)
        if found is None:
            return Response(status=HTTPStatus.NOT_FOUND)
        async_note_certificate(hass, found.charge_point_id, found.certificate)
        name = _bundle_name(found.charge_point_id)
        return _file(name, found.content, "application/zip")
