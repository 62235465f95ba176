"""Tokens read quickly are read as strictly as by the decoder that looks at everything."""

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colibris.authentication import tokens
from colibris.authentication.tokens import InvalidToken


def strictly(data):
    """Return what the strict decoder makes of *data*, None if it refuses it."""
    try:
        value = tokens._decoder.decode(data.decode())
    except (ValueError, RecursionError, InvalidToken):
        return None
    return value if isinstance(value, dict) else None


names = st.sampled_from(('sub', 'exp', 'a', 'a:b', 'é', '', 'sub:', 'a\\b', 'a"b', '\n', '\x7f'))
scalars = st.one_of(
    st.integers(), st.integers(2**62, 2**66), st.floats(), st.booleans(), st.none(), st.text(max_size=8), names
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
)
space = st.sampled_from(('', ' ', '\n', '\t\r', '\x0b', '\ufeff'))


@st.composite
def documents(draw):
    """Make the text of an object, which may say something twice, with spaces anywhere."""
    members = draw(st.lists(st.tuples(names, values), max_size=5))
    ascii_only = draw(st.booleans())

    def dump(value):
        return json.dumps(value, ensure_ascii=ascii_only)

    body = ','.join(f'{draw(space)}{dump(name)}{draw(space)}:{draw(space)}{dump(value)}' for name, value in members)
    return f'{draw(space)}{{{body}}}{draw(space)}'.encode('utf-8', 'surrogatepass')


@given(data=documents())
@example(data=b'{"a":1,"a":2}')
@example(data=b'{"a":":","a":1}')
@example(data=b'{"a":1,"a":":"}')
@example(data=b'{"a:":1,"a":{"b":1}}')
@example(data=b'{"a":{"b":1,"b":2}}')
@example(data=b'{"a":["x:y",{}]}')
@example(data=b'{"a":"\\u003a","a":1}')
@example(data=b'{"exp":1e400}')
@example(data=b'{"exp":-0,"nbf":-0.0,"iat":1E2}')
@example(data=b'{"exp":' + b'9' * 5000 + b'}')
@example(data=b'{"exp":NaN}')
@example(data=b'{"sub":"a\nb"}')
@example(data=b'{"sub":"\xff"}')
@example(data=b'{"sub":"a",}')
@example(data=b'[1]')
@example(data=b'{"sub":"a"}x')
def test_what_is_read_quickly_is_what_the_strict_decoder_reads(data):
    quick = tokens._read_plain(data)
    if quick is None:
        return
    expected = strictly(data)
    assert repr(quick) == repr(expected)  # of the same types, NaN and -0.0 too


@pytest.mark.parametrize('claims', [{'sub': '1', 'exp': 1}, {'iss': 'https://a.example:8443/', 'aud': ['a']}])
def test_ordinary_claims_are_read_quickly(claims):
    assert tokens._read_plain(json.dumps(claims).encode()) == claims


def strict_base64(segment):
    try:
        data = urlsafe_b64decode(segment + '=' * (-len(segment) % 4))
    except ValueError:
        return None
    return data if urlsafe_b64encode(data).rstrip(b'=').decode('ascii') == segment else None


alphabet = st.sampled_from('ABCDEFwxyz0189-_+/=.! \né')


@given(segment=st.text(alphabet, max_size=12) | st.binary(max_size=12).map(tokens.encode_segment))
def test_only_the_canonical_spelling_of_base64url_is_decoded(segment):
    try:
        data = tokens.decode_segment(segment)
    except InvalidToken:
        data = None
    assert data == strict_base64(segment)


@pytest.mark.parametrize('value', [2**53, 2**53 - 1, 0, -1, 1.5, True, '1', None, math.inf, math.nan, 10**400])
def test_a_time_is_a_finite_number(value):
    good = not isinstance(value, (bool, str, type(None))) and value not in (math.inf, 10**400) and value == value
    if good:
        assert tokens._time({'exp': value}, 'exp') == value
    else:
        with pytest.raises(InvalidToken):
            tokens._time({'exp': value}, 'exp')
