"""Hide secrets in what is shown or logged."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = '********'

_WORDS = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+')
_SECRET_PARTS = re.compile(
    r'passw(?:or)?d|passphrase|secret|token|credential|apikey|privatekey|signature', re.IGNORECASE
)
_SECRET_WORDS = frozenset({'key', 'keys', 'pass', 'pwd', 'dsn', 'salt'})
_HARMLESS_ENDS = frozenset({'field', 'fields', 'claim', 'name', 'prefix'})
_MEASURES = frozenset(
    {'age', 'bytes', 'days', 'hours', 'length', 'lifetime', 'limit', 'minutes', 'seconds', 'size', 'ttl'}
)

# What is masked may be what a client sent: each expression takes a time in proportion to the length of the text. They
# begin where a word does, and never go back over a word (possessive quantifiers).
_WORD = re.compile(r'\S+')
_URL_PASSWORD = re.compile(r'://[^\s:@/]*:')
#: What is sent in headers: credentials by their scheme, cookies, JSON Web Tokens.
_CREDENTIALS = re.compile(
    r'\b(Bearer|Basic|Digest|Token|ApiKey)\s++(?=[^\s0-9=]*+[0-9=])[A-Za-z0-9._~+/=-]{8,}+', re.IGNORECASE
)
_HEADERS = re.compile(
    r"""((?:authorization|cookie)(?:['"]\s*,\s*['"]|['"]?\s*[=:]\s*['"]?))[^'"\r\n]++""", re.IGNORECASE
)
_JSON_WEB_TOKEN = re.compile(r'(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]++\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]*+')
_SECRET_NAME = r'passw(?:or)?d|passphrase|secret|token|api_?key|private_?key'
_ASSIGNMENT = re.compile(
    rf"""((?<![\w-])(?:(?!{_SECRET_NAME})[\w-])*+(?:{_SECRET_NAME})[\w-]*+['"]?\s*+[=:]\s*+)"""
    r"""('[^']*+'|"[^"]*+"|[^\s&;,)}\]]++)""",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Tell whether a setting or key of this *name* holds a secret: ``password``, ``SECRET_KEY``, ``apiToken`` …

    Names that end with ``field``, ``claim``, ``name`` or ``prefix`` tell of a secret, not the secret: ``key_field``.
    """
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[-1] in _HARMLESS_ENDS:
        return False
    return bool(_SECRET_PARTS.search(name.replace('_', '').replace('-', '')) or _SECRET_WORDS.intersection(words))


def _is_measure(name: str) -> bool:
    return [word.lower() for word in _WORDS.findall(name)][-1] in _MEASURES


def mask(value: Any, name: str = '') -> Any:
    """Return *value* as it can be shown: what bears a secret name, and passwords within texts, are replaced."""
    if value is None or isinstance(value, bool) or (isinstance(value, str | bytes) and not value):
        return value
    if is_secret(name) and not (isinstance(value, int | float) and _is_measure(name)):
        return MASK
    if isinstance(value, Mapping):
        return {mask(key): mask(item, key if isinstance(key, str) else '') for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return _rebuilt(value, [mask(item) for item in value])
    return _mask_text(value) if isinstance(value, str) else _mask_object(value)


def _rebuilt(value: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any], items: list[Any]) -> Any:
    plain = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
    return plain(items)


def _mask_text(text: str) -> str:
    if '://' in text and '@' in text:
        text = _WORD.sub(_mask_url, text)
    text = _JSON_WEB_TOKEN.sub(MASK, _HEADERS.sub(rf'\g<1>{MASK}', text))
    return _ASSIGNMENT.sub(rf'\g<1>{MASK}', _CREDENTIALS.sub(rf'\g<1> {MASK}', text))


def _mask_url(word: re.Match[str]) -> str:
    """Return *word*, which may be a URL, without the password in it; that may hold an ``@`` itself."""
    text = word[0]
    user = _URL_PASSWORD.search(text)
    end = text.rfind('@')
    return text if user is None or user.end() >= end else f'{text[: user.end()]}{MASK}{text[end:]}'


def _mask_object(value: object) -> object:
    """Return the masked representation of an object if it shows a secret, else the object itself."""
    if isinstance(value, int | float):
        return value
    try:
        text = repr(value)
    except Exception as exc:
        return unshown(value, exc)
    masked = _mask_text(text)
    return value if masked == text else masked


def unshown(value: object, error: Exception) -> str:
    """Return what stands for *value*, of which no text can be made because of *error*."""
    return f'<{type(value).__name__}: {type(error).__name__}>'
