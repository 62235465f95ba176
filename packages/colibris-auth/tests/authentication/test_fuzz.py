"""Whatever comes for a token: it is refused as every other, or PyJWT accepts it, too."""

import asyncio
import time

import jwt as pyjwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colibris.authentication.jwt import JWTBackend
from colibris.authentication.refresh import InvalidRefreshToken, RefreshToken
from colibris.authentication.tokens import InvalidToken, encode_segment

BACKEND = JWTBackend(audience='shop')
BACKEND.bind(secret_key='s' * 32, debug=False)
KEY = BACKEND._keys['HS256']
GOOD = BACKEND.make_token('ann')

few = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10)
near = st.sampled_from([0, int(time.time()) - 5, int(time.time()) + 3600, time.time() + 9999.5, 10**30, '9999999999'])
values = scalars | near | st.lists(scalars, max_size=3) | st.sampled_from(['shop', ['shop'], 'ann', 'Refresh'])
claims = st.dictionaries(
    st.sampled_from(['sub', 'exp', 'nbf', 'iat', 'aud', 'iss', 'jti', 'typ', 'x']), values, max_size=9
)
headers = st.fixed_dictionaries(
    {'alg': st.just('HS256') | scalars},
    optional={'typ': scalars | st.just('JWT'), 'kid': scalars, 'crit': values, 'jwk': values, 'b64': scalars},
)


def accepts(token):
    try:
        return asyncio.run(BACKEND.verify(token))
    except InvalidToken:
        return None


@few
@given(headers, claims)
def test_what_is_accepted_pyjwt_accepts_too(header, payload):
    import hmac
    import json

    signed = '.'.join(encode_segment(json.dumps(part).encode('utf-8', 'replace')) for part in (header, payload))
    token = f'{signed}.{encode_segment(hmac.digest(KEY, signed.encode(), "sha256"))}'
    found = accepts(token)
    if found is not None:
        assert pyjwt.decode(token, KEY, ['HS256'], audience='shop', options={'require': ['exp', 'sub']}) == found


@few
@given(st.text(max_size=200) | st.text(alphabet='.aA1-_=', max_size=60) | st.binary(max_size=200).map(repr))
def test_no_text_does_harm(text):
    assert accepts(text) is None


@few
@given(st.integers(0, len(GOOD) - 1), st.characters(), st.sampled_from(['replace', 'insert', 'delete']))
def test_no_change_of_one_character_is_accepted(place, character, how):
    end = place if how == 'insert' else place + 1
    changed = GOOD[:place] + ('' if how == 'delete' else character) + GOOD[end:]
    assert changed == GOOD or accepts(changed) is None


@few
@given(st.text(max_size=200) | st.text(alphabet='rt.0a', max_size=120))
def test_no_text_is_a_refresh_token_by_chance(text):
    try:
        token = RefreshToken.parse(text)
    except InvalidRefreshToken:
        return
    assert not token.is_good(b'k' * 32)
