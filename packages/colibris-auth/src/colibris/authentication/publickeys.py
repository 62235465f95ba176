"""Public keys that tokens are verified with: read from a file, or from what a provider publishes (RFC 7517)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import algorithms as jwt_algorithms
from jwt.exceptions import PyJWTError

from colibris import api

#: Key type and curve that each algorithm needs.
ALGORITHMS: Mapping[str, tuple[type, str | None]] = {
    **{f'{family}{size}': (rsa.RSAPublicKey, None) for family in ('RS', 'PS') for size in (256, 384, 512)},
    'ES256': (ec.EllipticCurvePublicKey, 'secp256r1'),
    'ES384': (ec.EllipticCurvePublicKey, 'secp384r1'),
    'ES512': (ec.EllipticCurvePublicKey, 'secp521r1'),
    'EdDSA': (ed25519.Ed25519PublicKey, None),
}

#: The smallest RSA key that is accepted, in bits (RFC 7518, 3.3).
MINIMUM_RSA = 2048

#: No more keys than this are kept of one set.
MAX_KEYS = 100

_VERIFIERS = jwt_algorithms.get_default_algorithms()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify signatures, with what was said of it."""

    key: Any
    key_id: str | None = None
    #: The only algorithm that it is meant for, if one was named.
    algorithm: str | None = None

    def fits(self, algorithm: str) -> bool:
        """Tell whether it may verify what is signed by *algorithm*."""
        kind, curve = ALGORITHMS[algorithm]
        if not isinstance(self.key, kind) or self.algorithm not in (None, algorithm):
            return False
        return curve is None or self._curve() == curve

    def _curve(self) -> str | None:
        return self.key.curve.name if isinstance(self.key, ec.EllipticCurvePublicKey) else None

    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Tell whether *signature* is one of *signed* by this key."""
        return bool(_VERIFIERS[algorithm].verify(signed, self.key, signature))


class KeySet:
    """Public keys, to be found by what a token's header says."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self.keys: Sequence[PublicKey] = tuple(keys)[:MAX_KEYS]

    def find(self, algorithm: str, key_id: str | None) -> PublicKey | None:
        """Return the one key that can verify a token of *algorithm*; None if there is none or it is not clear which.

        Keys without an identifier are tried for every one.
        """
        fitting = [key for key in self.keys if key.fits(algorithm)]
        if key_id is not None:
            fitting = [key for key in fitting if key.key_id == key_id] or [k for k in fitting if k.key_id is None]
        return fitting[0] if len(fitting) == 1 else None


def load_file(path: str | Path) -> KeySet:
    """Return the keys in a file: public keys or certificates in PEM, or a JWK or a set of them in JSON.

    Raises ValueError, naming the file, if it cannot be read or holds none that can be used.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as exc:
        raise ValueError(f'the file of public keys {path} cannot be read: {exc.strerror or exc}') from exc
    try:
        keys = parse_jwks(data).keys if data.lstrip()[:1] == b'{' else list(_read_pem(data))
    except ValueError as exc:
        raise ValueError(f'the file of public keys {path} cannot be used: {exc}') from exc
    if not keys:
        raise ValueError(f'the file of public keys {path} holds no key that may verify signatures')
    return KeySet(keys)


def _read_pem(data: bytes) -> Iterable[PublicKey]:
    if b'PRIVATE KEY-----' in data:
        raise ValueError('it holds a private key; give the public one, and keep the private one where tokens are made')
    blocks = [b'-----BEGIN ' + block for block in data.split(b'-----BEGIN ')[1:]]
    if not blocks:
        raise ValueError('it is neither PEM nor JSON')
    for block in blocks:
        certificate = block.startswith(b'-----BEGIN CERTIFICATE')
        key: Any = x509.load_pem_x509_certificate(block).public_key() if certificate else load_pem_public_key(block)
        if (problem := _problem(key)) is not None:
            raise ValueError(problem)
        yield PublicKey(key)


def _problem(key: Any) -> str | None:
    """Return why *key* is of no use, None if it is."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MINIMUM_RSA:
        return f'its RSA key has {key.key_size} bits, fewer than {MINIMUM_RSA}'
    if not any(isinstance(key, kind) for kind, _ in ALGORITHMS.values()):
        return f'a key of the type {type(key).__name__} cannot verify tokens'
    return None


def parse_jwks(data: bytes) -> KeySet:
    """Return the keys of a JWK set (or of one JWK) that may verify signatures; the others are passed over.

    Symmetric and private keys, and those whose ``use`` or ``key_ops`` forbid it, are among the others. Raises
    ValueError for what is no such document.
    """
    try:
        document = api.decode_json(data)
    except api.ParseError as exc:
        raise ValueError('it is not valid JSON') from exc
    if isinstance(document, dict) and 'kty' in document:
        document = {'keys': [document]}
    listed = document.get('keys') if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is no JWK set: there is no list 'keys'")
    return KeySet(key for jwk in listed[:MAX_KEYS] if (key := read_jwk(jwk)) is not None)


def read_jwk(jwk: Any) -> PublicKey | None:
    """Return the key of *jwk*, None if it may not verify signatures or is of no kind that we know."""
    if not isinstance(jwk, dict) or not _may_verify(jwk):
        return None
    reader: Any = {
        'RSA': jwt_algorithms.RSAAlgorithm,
        'EC': jwt_algorithms.ECAlgorithm,
        'OKP': jwt_algorithms.OKPAlgorithm,
    }.get(jwk['kty'])
    if reader is None:
        return None
    try:
        key = reader.from_jwk(jwk)
    except (PyJWTError, ValueError, TypeError, KeyError):
        return None
    return PublicKey(key, jwk.get('kid'), jwk.get('alg')) if _problem(key) is None else None


def _may_verify(jwk: Mapping[str, Any]) -> bool:
    if not all(isinstance(jwk.get(name, ''), str) for name in ('kty', 'kid', 'alg', 'use')) or 'kty' not in jwk:
        return False
    if 'd' in jwk or jwk.get('use', 'sig') != 'sig' or jwk.get('alg', 'RS256') not in ALGORITHMS:
        return False
    operations = jwk.get('key_ops', ['verify'])
    return isinstance(operations, list) and 'verify' in operations
