"""The examples of the RFCs, read by our code."""

import base64
import hmac
import json

import pytest

from colibris.authentication import tokens
from colibris.authentication.publickeys import parse_jwks, read_jwk


def decode(text):
    return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))


# RFC 7515, A.1 (the token of RFC 7519, 3.1, too)
HS256_KEY = decode('AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow')
HS256_TOKEN = (
    'eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9'
    '.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
    '.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
)

# RFC 7515, A.2
RS256_JWK = {
    'kty': 'RSA',
    'n': 'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS'
    '-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xs'
    'mtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ',
    'e': 'AQAB',
}
RS256_TOKEN = (
    'eyJhbGciOiJSUzI1NiJ9'
    '.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
    '.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZ'
    'cAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-e'
    'OkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw'
)

# RFC 7515, A.3
ES256_JWK = {
    'kty': 'EC',
    'crv': 'P-256',
    'x': 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    'y': 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}
ES256_TOKEN = (
    'eyJhbGciOiJFUzI1NiJ9'
    '.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
    '.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
)

# RFC 8037, A.2 and A.4
EDDSA_JWK = {'kty': 'OKP', 'crv': 'Ed25519', 'x': '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'}
EDDSA_SIGNED = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc'
EDDSA_SIGNATURE = 'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'

JOE = {'iss': 'joe', 'exp': 1300819380, 'http://example.com/is_root': True}


def test_rfc_7515_a_1():
    parts = tokens.take_apart(HS256_TOKEN)
    assert parts.header == tokens.Header('HS256', None)
    assert tokens.read_claims(parts.payload) == JOE
    assert tokens.encode_segment(hmac.digest(HS256_KEY, parts.signed, 'sha256')) == parts.signature


@pytest.mark.parametrize(
    ('algorithm', 'jwk', 'token'), [('RS256', RS256_JWK, RS256_TOKEN), ('ES256', ES256_JWK, ES256_TOKEN)]
)
def test_rfc_7515_a_2_and_a_3(algorithm, jwk, token):
    parts = tokens.take_apart(token)
    key = parse_jwks(json.dumps({'keys': [jwk]}).encode()).find(algorithm, None)
    signature = tokens.decode_segment(parts.signature)
    assert tokens.read_claims(parts.payload) == JOE
    assert key.verifies(algorithm, parts.signed, signature)
    assert not key.verifies(algorithm, parts.signed + b'x', signature)
    assert not key.verifies(algorithm, parts.signed, signature[:-1] + bytes([signature[-1] ^ 1]))
    assert not key.verifies(algorithm, parts.signed, b'\0' * len(signature))


def test_rfc_7515_a_5_an_unsecured_token_is_none_that_can_be_accepted():
    token = 'eyJhbGciOiJub25lIn0.' + HS256_TOKEN.split('.')[1] + '.'
    assert tokens.take_apart(token).header.algorithm == 'none'


def test_rfc_7515_e_critical_extensions_are_refused():
    token = (
        'eyJhbGciOiJub25lIiwNCiAiY3JpdCI6WyJodHRwOi8vZXhhbXBsZS5jb20vVU5ERUZJTkVEIl0sDQogImh0dHA6Ly9leGFtcGxlLmNvbS9V'
        'TkRFRklORUQiOnRydWUNCn0.RkFJTA.'
    )
    with pytest.raises(tokens.InvalidToken):
        tokens.take_apart(token)


def test_rfc_8037_a_4():
    key = read_jwk(EDDSA_JWK)
    assert key.verifies('EdDSA', EDDSA_SIGNED.encode(), tokens.decode_segment(EDDSA_SIGNATURE))
    assert not key.verifies('EdDSA', EDDSA_SIGNED.encode() + b'x', tokens.decode_segment(EDDSA_SIGNATURE))


def test_rfc_7517_a_1_a_key_for_encryption_is_passed_over():
    keys = [
        {
            'kty': 'EC',
            'crv': 'P-256',
            'x': 'MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4',
            'y': '4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM',
            'use': 'enc',
            'kid': '1',
        },
        {**RS256_JWK, 'alg': 'RS256', 'kid': '2011-04-29'},
    ]
    found = parse_jwks(json.dumps({'keys': keys}).encode())
    assert [key.key_id for key in found.keys] == ['2011-04-29']
    assert found.find('ES256', '1') is None


def test_rfc_7517_a_2_and_a_3_private_and_symmetric_keys_are_passed_over():
    keys = [
        {**ES256_JWK, 'd': '870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE', 'kid': '1'},
        {'kty': 'oct', 'alg': 'HS256', 'k': 'GawgguFyGrWKav7AX4VKUg', 'kid': '2'},
        {'kty': 'oct', 'k': 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ', 'kid': '3'},
    ]
    assert parse_jwks(json.dumps({'keys': keys}).encode()).keys == ()


@pytest.mark.parametrize(
    'claims',
    [
        {'exp': 1300819380},  # RFC 7519, 4.1.4: "on or after which the JWT MUST NOT be accepted"
        {'exp': 1300819381, 'nbf': 1300819381},
        {'exp': 1300819381, 'aud': 'x'},
        {'exp': 1300819381, 'jti': 5},
    ],
)
def test_rfc_7519_claims_that_must_be_refused(claims):
    with pytest.raises(tokens.InvalidToken):
        tokens.ClaimRules().check(claims, 1300819380)


def test_rfc_7519_leeway_is_for_the_clocks_of_others():
    rules = tokens.ClaimRules(leeway=10)
    rules.check({'exp': 1300819375, 'nbf': 1300819389, 'iat': 1300819389}, 1300819380)
    for claims in ({'exp': 1300819370}, {'exp': 1300819500, 'nbf': 1300819391}, {'exp': 1300819500, 'iat': 1300819391}):
        with pytest.raises(tokens.InvalidToken):
            rules.check(claims, 1300819380)


def test_rfc_8725_3_2_weak_keys_are_passed_over():
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwt.algorithms import RSAAlgorithm

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    assert read_jwk(RSAAlgorithm.to_jwk(weak, as_dict=True)) is None


def test_a_key_fits_the_algorithms_of_its_kind_and_curve_only():
    keys = {'EC': read_jwk(ES256_JWK), 'RSA': read_jwk(RS256_JWK), 'OKP': read_jwk(EDDSA_JWK)}
    names = ['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA']
    fitting = {kind: [name for name in names if key.fits(name)] for kind, key in keys.items()}
    assert fitting == {'EC': ['ES256'], 'RSA': names[:4], 'OKP': ['EdDSA']}
    assert not read_jwk({**RS256_JWK, 'alg': 'RS512'}).fits('RS256')
