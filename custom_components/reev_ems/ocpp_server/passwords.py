"""Passwords of charge points as they are kept: hashed, as soon as nobody has to be told them any more.

A hash that was read from a backup lets nobody in. It is salted; that of a password that a person thought up is slow to
calculate, that of a generated one need not be.
"""

from base64 import b64decode, b64encode
from collections import OrderedDict
import hashlib
import hmac
import re
import secrets

_SLOW, _QUICK = "scrypt", "sha256"
_SALT_BYTES = 16
_GENERATED = re.compile(r"[0-9a-f]{32}")
"""128 random bits: nobody tries them all, however quickly."""
_COST, _BLOCK, _PARALLEL = 2**12, 8, 1
"""Parameters of scrypt: a few milliseconds and 4 MB for each comparison."""
_HASHED = re.compile(rf"(?:{_SLOW}|{_QUICK})\$[\w+/=]+\$[\w+/=]+")
_REMEMBERED = 1000

_proven: OrderedDict[tuple[str, bytes], None] = OrderedDict()
"""Kept passwords, and digests of what they were compared with and are: each charge point dials in again and again."""


def is_hashed(kept: str) -> bool:
    """Whether a password is kept as a hash; what a charge point takes is never as long as one."""
    return len(kept) > 60 and _HASHED.fullmatch(kept) is not None


def hashed(password: str) -> str:
    """Return what to keep of a password."""
    kind = _QUICK if _GENERATED.fullmatch(password) else _SLOW
    salt = secrets.token_bytes(_SALT_BYTES)
    return "$".join((kind, _text(salt), _text(_digest(kind, salt, password.encode()))))


def is_password(kept: str, given: bytes) -> bool:
    """Whether what was given is a password, kept in the clear or as a hash; compared in constant time (S12).

    OCPP 1.6 gives the key in hex digits; some send the bytes that they mean.
    """
    if not is_hashed(kept):
        expected = [kept.encode()]
        if re.fullmatch(r"(?:[0-9a-fA-F]{2}){16,20}", kept):
            expected.append(bytes.fromhex(kept))
        same = [hmac.compare_digest(given, each) for each in expected]
        return any(same)
    proof = (kept, hashlib.sha256(given).digest())
    if proof in _proven:
        return True
    meant = [given]
    if 16 <= len(given) <= 20:
        meant += [given.hex().encode(), given.hex().upper().encode()]
    kind, salt, expected_digest = kept.split("$")
    same = [
        hmac.compare_digest(
            _digest(kind, b64decode(salt), each), b64decode(expected_digest)
        )
        for each in meant
    ]
    if any(same):
        _proven[proof] = None
        while len(_proven) > _REMEMBERED:
            _proven.popitem(last=False)
    return any(same)


def _digest(kind: str, salt: bytes, password: bytes) -> bytes:
    if kind == _QUICK:
        return hashlib.sha256(salt + password).digest()
    return hashlib.scrypt(password, salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL)


def _text(data: bytes) -> str:
    return b64encode(data).decode()
