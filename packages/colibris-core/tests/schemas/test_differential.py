"""Compiled schemas against marshmallow itself: random schemas, random inputs, random objects, equal outcomes.

``COLIBRIS_TEST_SCHEMAS`` is how many outcomes are compared, about 3,000 unless it says otherwise. A failure names the
seed of its schema.
"""

import os
import warnings
from random import Random

import marshmallow
import random_schemas
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from random_values import outcome

from colibris.api import decode_json, encode_json
from colibris.schemas import EXCLUDE, INCLUDE, RAISE, Schema
from colibris.schemas.compiled import dumper, loader

#: How many outcomes one example compares, at least.
EACH = 24
EXAMPLES = int(os.environ.get('COLIBRIS_TEST_SCHEMAS', 3000)) // EACH + 1


class Twins:
    """One random schema, of marshmallow and of ours, and what both make of the same values."""

    def __init__(self, seed):
        self.random = Random(seed)
        self.spec = random_schemas.spec(self.random)
        self.theirs = self.spec.schema(marshmallow.Schema)
        self.ours = self.spec.schema(Schema)

    def values(self, kind):
        """Return a function that makes the same value at each call: what is compared must not share objects."""
        seed, make = self.random.getrandbits(64), getattr(self.spec, kind)
        many = self.theirs.many and self.random.random() < 0.9

        def value():
            random = Random(seed)
            return [make(random) for _ in range(random.randrange(3))] if many else make(random)

        return value

    def options(self):
        options = {}
        if self.random.random() < 0.4:
            options['partial'] = self.random.choice([True, False, ['a', 'b.c'], ('id', 'items.a', 'c')])
        if self.random.random() < 0.1:
            options['many'] = self.random.random() < 0.5
        return options


def compare_loads(twins):
    data, options = twins.values('given'), twins.options()
    load, plain = loader(twins.ours), loader(twins.theirs)
    expected = outcome(lambda: twins.theirs.load(data()))
    assert outcome(lambda: load(data())) == expected
    assert outcome(lambda: plain(data())) == expected
    assert outcome(lambda: twins.ours.validate(data(), **options)) == outcome(
        lambda: twins.theirs.validate(data(), **options)
    )
    if twins.random.random() < 0.3:
        options['unknown'] = twins.random.choice([RAISE, EXCLUDE, INCLUDE])
    assert outcome(lambda: twins.ours.load(data(), **options)) == outcome(lambda: twins.theirs.load(data(), **options))


def compare_json_loads(twins):
    data = twins.values('given')
    try:
        raw = encode_json(data())
    except (TypeError, UnicodeError):
        return
    load = loader(twins.ours)
    load._missed_json(3)  # as if there had been so many documents that there is code for JSON
    assert outcome(load.json, raw) == outcome(lambda: twins.theirs.load(decode_json(raw)))


def compare_dumps(twins):
    obj = twins.values('held')
    many = bool(twins.theirs.many) ^ (twins.random.random() < 0.05)
    dump, plain = dumper(twins.ours, many=many), dumper(twins.theirs, many=many)
    expected = outcome(lambda: twins.theirs.dump(obj(), many=many))
    assert outcome(lambda: dump(obj())) == expected
    assert outcome(lambda: plain(obj())) == expected
    assert outcome(lambda: twins.ours.dump(obj(), many=many)) == expected
    assert outcome(lambda: dump.json(obj())) == outcome(lambda: encode_json(twins.theirs.dump(obj(), many=many)))


@settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**64))
def test_results_and_errors_are_those_of_marshmallow(seed):
    note(f'seed: {seed}')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of dates without a year in strptime, and the like
        try:
            twins = Twins(seed)
        except (ValueError, AttributeError):
            return  # fields that read or write one key, or that cannot be nested
        for _ in range(3):
            compare_loads(twins)
            compare_json_loads(twins)
            compare_dumps(twins)
