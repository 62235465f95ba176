"""JSON Web Tokens, read strictly: what RFC 7515, 7519 and 8725 leave open is refused here.

Nothing that a token says of itself chooses how it is verified: the algorithm has to be one of those configured, a key
identifier only looks up keys that are known already, and keys or addresses of keys within a token are not looked at.
"""

from __future__ import annotations

import hmac
import json
import math
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, NoReturn

import msgspec

#: The longest token that is looked at, in characters.
MAX_LENGTH = 8192

#: What the header ``typ`` of an access token may be (RFC 9068, RFC 7519), in lower case.
_TYPES = frozenset({'jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'})

#: Values of the claims ``typ``, ``token_use`` and ``token_type`` by which providers mark other tokens than for access.
_OTHER_USES = frozenset({'refresh', 'offline', 'id', 'logout'})


class InvalidToken(Exception):
    """Raised for a token that is not good; the reason is for the log, never for the client."""


@dataclass(frozen=True, slots=True)
class Header:
    """What matters of a token's header."""

    algorithm: str
    key_id: str | None


class Parts(NamedTuple):
    """A token taken apart; nothing in it is verified."""

    header: Header
    payload: str
    signature: str
    signed: bytes


def take_apart(token: str) -> Parts:
    """Split *token* and read its header. Raises InvalidToken."""
    if len(token) > MAX_LENGTH:
        raise InvalidToken(f'it has {len(token)} characters')
    segments = token.split('.')
    if len(segments) != 3:
        raise InvalidToken(f'it has {len(segments)} parts')
    header, payload, signature = segments
    try:
        signed = token[: -len(signature) - 1].encode('ascii')
    except UnicodeEncodeError as exc:
        raise InvalidToken('it is not ASCII') from exc
    return Parts(_read_header(header), payload, signature, signed)


@lru_cache(maxsize=256)
def _read_header(segment: str) -> Header:
    header = _read_object(segment)
    algorithm, key_id, kind = header.get('alg'), header.get('kid'), header.get('typ')
    if not isinstance(algorithm, str):
        raise InvalidToken('its algorithm is no string')
    if not (key_id is None or (isinstance(key_id, str) and len(key_id) <= 256)):
        raise InvalidToken('its kid is no string of at most 256 characters')
    if not (kind is None or (isinstance(kind, str) and kind.lower() in _TYPES)):
        raise InvalidToken('its typ is not that of an access token')
    if 'crit' in header or 'b64' in header:
        raise InvalidToken('it demands extensions')
    return Header(algorithm, key_id)


def to_sign(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return the first two parts of a token, which are what is signed."""
    return '.'.join(encode_segment(json.dumps(part, separators=(',', ':')).encode()) for part in (header, claims))


def sign(signed: bytes, key: bytes, digest: str) -> str:
    """Return the last part of a token: the HMAC of the first two, by the hash *digest*."""
    return encode_segment(hmac.digest(key, signed, digest))


def read_claims(segment: str) -> dict[str, Any]:
    """Return the claims of a token's payload. Raises InvalidToken."""
    return _read_object(segment)


def _read_object(segment: str) -> dict[str, Any]:
    data = decode_segment(segment)
    plain = _read_plain(data)
    if plain is not None:
        return plain
    try:
        value = _decoder.decode(data.decode())
    except (ValueError, RecursionError) as exc:
        raise InvalidToken('a part of it is not good JSON') from exc
    if not isinstance(value, dict):
        raise InvalidToken('a part of it is no JSON object')
    return value


def _read_plain(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object *data* if it is a plain one, with nothing said twice, as most are; None if in doubt.

    Each member has a colon outside of texts. Where there are no escapes, those within the texts can be counted: if no
    other colon is left than one for each member that was read, none was dropped, and none is nested.
    """
    if b'\\' in data:
        return None
    try:
        value = _decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    colons = data.count(b':') - len(value)
    if colons:
        colons -= sum(text.count(':') for pair in value.items() for text in pair if isinstance(text, str))
    return None if colons else value


def decode_segment(segment: str) -> bytes:
    """Decode base64url without padding; only the one canonical spelling is accepted. Raises InvalidToken."""
    try:
        padded = segment.encode('ascii').translate(_FROM_URL) + b'=' * (-len(segment) % 4)
        data = a2b_base64(padded)
    except ValueError as exc:
        raise InvalidToken('a part of it is not base64url') from exc
    if b2a_base64(data, newline=False) != padded:
        raise InvalidToken('a part of it is not base64url in its canonical form')
    return data


def encode_segment(data: bytes) -> str:
    """Encode as base64url without padding."""
    return b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b'=').decode('ascii')


#: To the alphabet of base64 and back; what is of that alphabet alone becomes a character of neither.
_FROM_URL = bytes.maketrans(b'-_+/=', b'+/!!!')
_TO_URL = bytes.maketrans(b'+/', b'-_')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidToken('it says something twice')
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f'{name} is not JSON')


_decode = msgspec.json.Decoder().decode
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the claims of a token have to be."""

    issuers: Sequence[str] = ()
    audiences: Sequence[str] = ()
    #: By how many seconds clocks may differ.
    leeway: float = 0

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Raise InvalidToken unless *claims* are good at the time *now*. ``exp`` is required."""
        self._check_times(claims, now)
        for name in ('sub', 'jti'):
            if not isinstance(claims.get(name, ''), str):
                raise InvalidToken(f'{name} is no string')
        self._check_origin(claims)
        for name in ('typ', 'token_use', 'token_type'):
            if name in claims:
                use = claims[name]
                if isinstance(use, str) and use.lower() in _OTHER_USES:
                    raise InvalidToken('it is not for access')

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        if _time(claims, 'exp', required=True) <= now - self.leeway:
            raise InvalidToken('it has expired')
        for name in ('nbf', 'iat'):
            if name in claims and _time(claims, name) > now + self.leeway:
                raise InvalidToken(f'its {name} lies in the future')

    def _check_origin(self, claims: Mapping[str, Any]) -> None:
        if self.issuers:
            issuer = claims.get('iss')
            if not isinstance(issuer, str) or issuer not in self.issuers:
                raise InvalidToken('another issuer made it')
        if not self.audiences and 'aud' not in claims:
            return
        audience = claims.get('aud')
        named = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(name, str) for name in named) or not any(name in self.audiences for name in named):
            raise InvalidToken('it is meant for another audience')


def _time(claims: Mapping[str, Any], name: str, *, required: bool = False) -> float:
    value = claims.get(name)
    if type(value) is int and 0 <= value < _FAR:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not _is_finite(value):
        raise InvalidToken(f'its {name} is no time' if name in claims or not required else f'it has no {name}')
    return value


#: No later than this a time is looked at twice.
_FAR = 2**53


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False
