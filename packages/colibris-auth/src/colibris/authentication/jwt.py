"""Authentication by JSON Web Tokens, in the header ``Authorization`` or a cookie."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import hdrs, web

from colibris import security
from colibris.authentication import csrf, tokens
from colibris.authentication.accounts import Accounts
from colibris.authentication.base import AuthenticationBackend, Identity, InvalidCredentials
from colibris.authentication.claims import Claims
from colibris.authentication.cookies import Cookies
from colibris.authentication.jwtoptions import (
    HMAC_ALGORITHMS,
    check_numbers,
    check_together,
    check_url,
    read_algorithms,
    read_texts,
)
from colibris.authentication.keys import SecretKeys, bind_to_account, secret_keys
from colibris.authentication.refresh import InvalidRefreshToken, RefreshTokens
from colibris.authentication.throttle import Throttle, networks
from colibris.conf import ImproperlyConfigured

if TYPE_CHECKING:
    from colibris.authentication.jwks import RemoteKeys
    from colibris.authentication.publickeys import KeySet

logger = logging.getLogger(__name__)

_WRONG_SIGNATURE = 'its signature is wrong'


class JWTBackend(AuthenticationBackend):
    """Takes for the account of a request whom its token names.

    A token comes in the header ``Authorization: Bearer …``, or in a cookie; the header wins. It is signed with a key
    derived from ``SECRET_KEY``, or verified with the public keys of whoever makes the tokens: those in the file
    *public_key_file* (PEM or JWK set), or those at *jwks_url*. Which of the *algorithms* it is signed with is looked up
    among these, never believed.

    - *model*: the model of the accounts, or its import path; not given, the claims of the token are the account.
    - *identity_claim*, *identity_field*: the claim that names the account, and the field (the primary key unless given)
      that has its value.
    - *secret_field*: a field that the account's key is made from as well; its change ends all tokens of the account.
    - *active_field*, *inactive_field*: a field that must be true, and one that must not, for the account to be used.
    - *login_field*, *password_field*: what the ready view for logins looks accounts up by (the identity field unless
      given), and where the hash of the password is.
    - *cookie_name*, *cookie_domain*: of the cookie that `login` sets.
    - *validity_seconds*, *refresh_validity_seconds*: how long tokens are good; None for the latter means that there are
      no refresh tokens.
    - *issuer*, *audience*: a text, or several, of tokens that are accepted; the first is that of those that are made.
    - *trusted_proxies*: addresses or networks whose ``X-Forwarded-For`` tells where a login comes from.
    - *leeway*: by how many seconds the clocks of others may differ.
    """

    reads_accounts = True

    def __init__(
        self,
        *,
        model: str | type | None = None,
        identity_claim: str = 'sub',
        identity_field: str | None = None,
        secret_field: str | None = None,
        active_field: str | None = None,
        inactive_field: str | None = None,
        login_field: str | None = None,
        password_field: str = 'password',
        cookie_name: str | None = None,
        cookie_domain: str | None = None,
        validity_seconds: int = 3600,
        refresh_validity_seconds: int | None = 30 * 24 * 3600,
        issuer: str | Sequence[str] | None = None,
        audience: str | Sequence[str] | None = None,
        leeway: float = 0,
        algorithms: str | Sequence[str] | None = None,
        public_key_file: str | None = None,
        jwks_url: str | None = None,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        has_public = public_key_file is not None or jwks_url is not None
        self.algorithms = read_algorithms(algorithms, has_public=has_public)
        self.signs_by = next((name for name in self.algorithms if name in HMAC_ALGORITHMS), None)
        check_together(
            self.algorithms,
            {
                'model': model,
                'identity_field': identity_field,
                'secret_field': secret_field,
                'active_field': active_field,
                'inactive_field': inactive_field,
                'login_field': login_field,
                'public_key_file': public_key_file,
                'jwks_url': jwks_url,
            },
        )
        check_numbers(validity_seconds, refresh_validity_seconds, leeway)
        self.rules = tokens.ClaimRules(read_texts('issuer', issuer), read_texts('audience', audience), leeway)
        self.accounts = (
            None if model is None else Accounts(model, active_field=active_field, inactive_field=inactive_field)
        )
        self.identity_claim = identity_claim
        self.identity_field = identity_field or ''
        self.secret_field = secret_field
        self.login_field = login_field or ''
        self.password_field = password_field
        self.validity_seconds = validity_seconds
        self.refresh_validity_seconds = refresh_validity_seconds
        self.trusted_proxies = networks(trusted_proxies)
        self.throttle = Throttle()
        self.refresh_tokens: RefreshTokens | None = None
        self._uses_cookies = self.signs_by is not None or cookie_name is not None
        self.cookies = Cookies(cookie_name, cookie_domain)
        self._file, self._url = public_key_file, jwks_url
        self._public: KeySet | None = None
        self._remote: RemoteKeys | None = None
        self._keys: dict[str, bytes] = {}
        self._macs: dict[str, hmac.HMAC] = {}
        self._refresh_key = self._csrf_key = b''

    # Opening

    def bind(self, *, secret_key: str | None, debug: bool) -> None:
        self.cookies.debug = debug
        if self.signs_by is not None or self._uses_cookies:
            self._derive(secret_keys(secret_key, debug=debug))
        if self._file is not None:
            from colibris.authentication.publickeys import (
                load_file,  # with cryptography, which tokens of ours do without
            )

            self._public = load_file(self._file)
        if self._url is not None:
            from colibris.authentication.jwks import RemoteKeys

            check_url(self._url, debug=debug)
            self._remote = RemoteKeys(self._url)
        self._warn_of_strangers()

    def _warn_of_strangers(self) -> None:
        has_public = self._public is not None or self._remote is not None
        if has_public and not (self.rules.issuers and self.rules.audiences):
            logger.warning(
                'AUTHENTICATION verifies tokens with public keys, but %s: tokens that were made for other services '
                'may be accepted here',
                ' and '.join(
                    f'{name} is not given'
                    for name, given in (('issuer', self.rules.issuers), ('audience', self.rules.audiences))
                    if not given
                ),
            )

    def _derive(self, keys: SecretKeys) -> None:
        self._keys = {
            name: keys.derive(f'jwt.access.{name}', digest)
            for name, digest in HMAC_ALGORITHMS.items()
            if name in self.algorithms
        }
        self._macs = {name: _mac(name, key) for name, key in self._keys.items()}
        self._refresh_key = keys.derive('jwt.refresh')
        self._csrf_key = keys.derive('csrf')

    async def open(self) -> None:
        if self.accounts is not None:
            self.accounts.resolve(
                identity_field=self.identity_field or None,
                secret_field=self.secret_field,
                login_field=self.login_field or None,
            )
            self.identity_field = self.identity_field or self.accounts.primary_key()
            self.login_field = self.login_field or self.identity_field
            self.accounts.warn_unless_unique('identity_field', self.identity_field)
        if self._keeps_refresh_tokens() and self.refresh_validity_seconds is not None:
            self.refresh_tokens = RefreshTokens(self._refresh_key_of, self.refresh_validity_seconds)
        if self._remote is not None:
            await self._remote.refresh()

    @property
    def account_model(self) -> type | None:
        return None if self.accounts is None else self.accounts.model

    async def close(self) -> None:
        if self._remote is not None:
            await self._remote.close()

    async def check_health(self) -> None:
        if self._remote is not None:
            await self._remote.check_health()

    def _keeps_refresh_tokens(self) -> bool:
        return self.accounts is not None and self.signs_by is not None and self.refresh_validity_seconds is not None

    def model_modules(self) -> tuple[str, ...]:
        return ('colibris.authentication.models.refresh_tokens',) if self._keeps_refresh_tokens() else ()

    # Authenticating

    @property
    def credential_headers(self) -> Sequence[str]:
        return (hdrs.AUTHORIZATION, hdrs.COOKIE)

    async def authenticate(self, request: web.Request) -> Identity | None:
        token = _bearer(request)
        if token is not None:
            try:
                return Identity(await self.verify(token))
            except tokens.InvalidToken as exc:
                logger.debug('a token in the header Authorization is refused: %s', exc)
                raise InvalidCredentials from None
        token = self.cookies.read_token(request) if self._uses_cookies else None
        if token is None:
            return None
        try:
            return Identity(await self.verify(token), session=_session(token))
        except tokens.InvalidToken as exc:
            logger.debug('a token in a cookie is refused: %s', exc)
            return None  # a browser sends it unasked: the request goes on as one without credentials

    async def verify(self, token: str) -> Any:
        """Return the account of an access *token*. Raises InvalidToken for one that is not good."""
        parts = tokens.take_apart(token)
        algorithm = parts.header.algorithm
        if algorithm not in self.algorithms:
            raise tokens.InvalidToken('its algorithm is not one of those that are accepted')
        if algorithm not in HMAC_ALGORITHMS:
            await self._verify_public(parts)
        elif self.secret_field is None:
            _verify_secret(parts, self._macs.get(algorithm))
        claims = tokens.read_claims(parts.payload)
        self.rules.check(claims, time.time())
        identity = claims.get(self.identity_claim)
        if not isinstance(identity, str) or not identity:
            raise tokens.InvalidToken(f'its {self.identity_claim} is no text')
        if self.accounts is None:
            return Claims(claims)
        account = await self.accounts.find(self.identity_field, identity)
        if self.secret_field is not None:
            _verify_secret(parts, _mac(algorithm, self._account_key(algorithm, account)))
        if account is None:
            raise tokens.InvalidToken('its account is unknown or not active')
        return account

    async def _verify_public(self, parts: tokens.Parts) -> None:
        algorithm, key_id = parts.header.algorithm, parts.header.key_id
        if self._remote is not None:
            key = await self._remote.find(algorithm, key_id)
        else:
            key = None if self._public is None else self._public.find(algorithm, key_id)
        if key is None:
            raise tokens.InvalidToken('there is no key for it')
        if not key.verifies(algorithm, parts.signed, tokens.decode_segment(parts.signature)):
            raise tokens.InvalidToken(_WRONG_SIGNATURE)

    def _account_key(self, algorithm: str, account: Any) -> bytes:
        """Return the key of *account*; for an unknown one, another that takes as long to make."""
        secret = None if account is None else getattr(account, self.secret_field or '')
        return bind_to_account(self._keys[algorithm], secret, HMAC_ALGORITHMS[algorithm])

    def _refresh_key_of(self, account: Any) -> bytes:
        if self.secret_field is None:
            return self._refresh_key
        return bind_to_account(self._refresh_key, getattr(account, self.secret_field))

    # Making tokens

    def make_token(self, account: Any) -> str:
        """Return a new access token for *account*. Raises ValueError for one that could not use it."""
        algorithm = self._signing_algorithm()
        if self.accounts is not None and not self.accounts.is_active(account):
            raise ValueError('this account is not active')
        now = int(time.time())
        claims: dict[str, Any] = {
            self.identity_claim: self.identity_of(account),
            'iat': now,
            'exp': now + self.validity_seconds,
            'jti': secrets.token_urlsafe(12),
        }
        if self.rules.issuers:
            claims['iss'] = self.rules.issuers[0]
        if self.rules.audiences:
            claims['aud'] = self.rules.audiences[0]
        key = self._keys[algorithm] if self.secret_field is None else self._account_key(algorithm, account)
        signed = tokens.to_sign({'alg': algorithm, 'typ': 'at+jwt'}, claims)
        return f'{signed}.{tokens.sign(signed.encode(), key, HMAC_ALGORITHMS[algorithm])}'

    def identity_of(self, account: Any) -> str:
        """Return what names *account* in a token."""
        if self.accounts is None:
            identity = account.get(self.identity_claim) if isinstance(account, Mapping) else account
        else:
            if not isinstance(account, self.accounts.model):
                raise TypeError(f'an account has to be a {self.accounts.model.__name__}, not {type(account).__name__}')
            identity = str(getattr(account, self.identity_field))
        if not isinstance(identity, str) or not identity:
            raise ValueError(f'the account has no text to put into the claim {self.identity_claim!r}')
        return identity

    def _signing_algorithm(self) -> str:
        if self.signs_by is None:
            raise ImproperlyConfigured(
                f'AUTHENTICATION only verifies tokens, by {", ".join(self.algorithms)}; add HS256 to its algorithms to '
                'make tokens here',
                setting='AUTHENTICATION.algorithms',
            )
        return self.signs_by

    async def begin_refresh(self, account: Any) -> str | None:
        """Return the first refresh token of a login, None if there are none."""
        if self.refresh_tokens is None:
            return None
        return await self.refresh_tokens.begin(account, self.identity_of(account))

    async def refresh(self, text: str) -> tuple[Any, str]:
        """Exchange a refresh token; return its account and the token that follows. Raises InvalidCredentials."""
        try:
            if self.refresh_tokens is None or self.accounts is None:
                raise InvalidRefreshToken('there are none')
            token, identity = await self.refresh_tokens.find(text)
            account = await self.accounts.find(self.identity_field, identity)
            if account is None:
                await self.refresh_tokens.end(text)
                raise InvalidRefreshToken('its account is unknown or not active')
            return account, await self.refresh_tokens.exchange(token, account)
        except InvalidRefreshToken as exc:
            logger.warning('a refresh token is refused: %s', exc)
            raise InvalidCredentials(headers={'WWW-Authenticate': self.challenge}) from None

    # Cookies

    def login(self, request: web.Request, account: Any, persistent: bool = False) -> str:
        """Have the response to *request* set the cookies of *account*; return the CSRF token."""
        token = self.make_token(account)
        csrf_token = csrf.make_token(self._csrf_key, _session(token))
        age = self.validity_seconds if persistent else None

        def set_cookies(response: web.StreamResponse) -> None:
            if response.status < 400:  # what went wrong after all is no login
                self.cookies.set(request, response, token, csrf_token, age)

        security.on_response(request, set_cookies)
        request[security.ACCOUNT] = account
        return csrf_token

    def logout(self, request: web.Request) -> None:
        """Have the response to *request* delete the cookies."""
        security.on_response(request, lambda response: self.cookies.delete(request, response))
        request[security.ACCOUNT] = None

    def has_csrf_token(self, request: web.Request, session: str, token: str) -> bool:
        sent = self.cookies.read_csrf(request)
        if sent is None or not hmac.compare_digest(sent.encode('utf-8', 'replace'), token.encode('utf-8', 'replace')):
            return False
        return csrf.is_valid(self._csrf_key, session, token)

    # Documentation

    def security_schemes(self) -> Mapping[str, Mapping[str, Any]]:
        schemes: dict[str, Mapping[str, Any]] = {
            'bearer': {'type': 'http', 'scheme': 'bearer', 'bearerFormat': 'JWT'},
        }
        if self._uses_cookies:
            secure = self.cookies.secure_names
            schemes['cookie'] = {'type': 'apiKey', 'in': 'cookie', 'name': secure.token}
            schemes['csrf'] = {
                'type': 'apiKey',
                'in': 'header',
                'name': csrf.HEADER,
                'description': f'The value of the cookie {secure.csrf}; needed beside the cookie for unsafe methods.',
            }
        return schemes

    def security_requirements(self, method: str) -> Sequence[Mapping[str, Sequence[str]]]:
        if not self._uses_cookies:
            return [{'bearer': []}]
        return [{'bearer': []}, {'cookie': []} if method in csrf.SAFE_METHODS else {'cookie': [], 'csrf': []}]


def _mac(algorithm: str, key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod=HMAC_ALGORITHMS[algorithm])


def _verify_secret(parts: tokens.Parts, mac: hmac.HMAC | None) -> None:
    """Raise InvalidToken unless the signature is the one that *mac*, which has seen only its key, makes."""
    if mac is None:
        raise tokens.InvalidToken('there is no key for it')
    mac = mac.copy()
    mac.update(parts.signed)
    made = tokens.encode_segment(mac.digest())
    if not hmac.compare_digest(made.encode(), parts.signature.encode('ascii', 'replace')):
        raise tokens.InvalidToken(_WRONG_SIGNATURE)


def _bearer(request: web.Request) -> str | None:
    """Return the bearer token of *request*, None if it has none. Raises InvalidCredentials if there are several."""
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return None
    scheme, _, token = header.partition(' ')
    if scheme.lower() != 'bearer':
        return None
    if len(request.headers.getall(hdrs.AUTHORIZATION)) != 1:
        raise InvalidCredentials
    return token.strip(' ')


def _session(token: str) -> str:
    """Return what a CSRF token is bound to: the hash of the token that the cookie holds."""
    return hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()
