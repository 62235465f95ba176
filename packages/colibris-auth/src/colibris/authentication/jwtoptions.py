"""The options of the JWT backend, checked before they are used: one that would be ignored is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

#: The algorithms that sign with a secret, and the hash that each is made of.
HMAC_ALGORITHMS: Mapping[str, str] = {'HS256': 'sha256', 'HS384': 'sha384', 'HS512': 'sha512'}

#: The algorithms that public keys verify: those of `colibris.authentication.publickeys`, which takes long to import.
PUBLIC_ALGORITHMS = (
    *(f'{family}{size}' for family in ('RS', 'PS') for size in (256, 384, 512)),
    *('ES256', 'ES384', 'ES512', 'EdDSA'),
)

#: What public keys verify unless `algorithms` says otherwise.
_PUBLIC_DEFAULT = ('RS256', 'ES256', 'EdDSA')


def read_algorithms(given: str | Sequence[str] | None, *, has_public: bool) -> tuple[str, ...]:
    """Return the names of the algorithms that are accepted. Raises ValueError."""
    if given is None:
        return _PUBLIC_DEFAULT if has_public else ('HS256',)
    found = read_texts('algorithms', given)
    known = [*HMAC_ALGORITHMS, *PUBLIC_ALGORITHMS]
    unknown = [name for name in found if name not in known]
    if unknown or not found:
        named = repr(unknown[0]) if unknown else 'an empty list'
        raise ValueError(f'algorithms: {named} is not accepted; there are {", ".join(known)}')
    return tuple(found)


def read_texts(option: str, given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return one text or several as several. Raises ValueError for what is no text."""
    found = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(text, str) and text for text in found):
        raise ValueError(f'{option} has to be a text that is not empty, or several')
    return found


def check_together(algorithms: Sequence[str], given: Mapping[str, object]) -> None:
    """Refuse options that contradict one another, so that none of them is ignored."""
    named = {name for name, value in given.items() if value is not None}
    public = [name for name in algorithms if name in PUBLIC_ALGORITHMS]
    keys = named & {'public_key_file', 'jwks_url'}
    if len(keys) == 2:
        raise ValueError('public_key_file and jwks_url cannot both be given')
    if public and not keys:
        raise ValueError(f'{", ".join(public)} needs public keys: give public_key_file or jwks_url')
    if keys and not public:
        raise ValueError(f'{keys.pop()} is given, but no algorithm in {", ".join(algorithms)} uses public keys')
    if 'secret_field' in named and public:
        raise ValueError(f'secret_field works where tokens are made here, by HS256, but not with {", ".join(public)}')
    accounts = sorted(named & {'identity_field', 'secret_field', 'active_field', 'inactive_field', 'login_field'})
    if accounts and 'model' not in named:
        raise ValueError(f'{accounts[0]} is a field of accounts: give their model, too')


def check_numbers(validity: object, refresh: object, leeway: object) -> None:
    """Raise ValueError for a time that cannot be one."""
    for name, value, least in (
        ('validity_seconds', validity, 1),
        ('refresh_validity_seconds', 1 if refresh is None else refresh, 1),
        ('leeway', leeway, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least:
            raise ValueError(f'{name} has to be a number of seconds of at least {least}')


def check_url(url: str, *, debug: bool) -> None:
    """Raise ValueError unless keys can be fetched from *url* safely."""
    parts = urlsplit(url)
    if parts.scheme not in ('https', 'http') or not parts.hostname:
        raise ValueError(f'jwks_url has to be a URL that begins with https://, not {url!r}')
    if parts.scheme == 'http' and not debug:
        raise ValueError('jwks_url has to begin with https://: whoever can change what comes over http can log in')
