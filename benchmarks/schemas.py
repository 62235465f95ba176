"""Compiled schemas beside marshmallow: loading from JSON and dumping to JSON, with identical results.

An order with its customer and five items, and a list of 25 users, by the same fields. All take turns in short rounds;
the median round of each counts, in CPU time of the thread. Marshmallow is measured in its own way, with the `json` of
the standard library, and with the decoder and encoder that Colibris uses.
"""

import sys

if not __package__:  # run as a file: its folder must not hide the standard library's `email`
    sys.path.pop(0)

import argparse
import datetime as dt
import json
import time
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import version
from statistics import median
from types import SimpleNamespace
from typing import Any

import marshmallow
from marshmallow import fields, validate

import colibris.schemas
from colibris.api import decode_json, encode_json
from colibris.schemas.compiled import dumper, loader

Schemas = dict[str, marshmallow.Schema]
Calls = dict[str, Callable[[], Any]]


def schemas(base: type[marshmallow.Schema]) -> Schemas:
    """Make the schemas, all from *base*."""

    class CustomerSchema(base):  # type: ignore[misc, valid-type]
        email = fields.Email(required=True)
        name = fields.String(required=True, validate=validate.Length(1, 100))

    class ItemSchema(base):  # type: ignore[misc, valid-type]
        sku = fields.String(required=True, validate=validate.Length(max=32))
        quantity = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
        unit_price = fields.Decimal(required=True, as_string=True)

    class OrderSchema(base):  # type: ignore[misc, valid-type]
        customer = fields.Nested(CustomerSchema, required=True)
        items = fields.List(fields.Nested(ItemSchema), required=True)
        created_at = fields.DateTime(required=True)
        tags = fields.List(fields.String(), required=True)

    class UserSchema(base):  # type: ignore[misc, valid-type]
        id = fields.Integer(dump_only=True)
        name = fields.String(required=True, validate=validate.Length(1, 100))
        email = fields.Email(required=True, validate=validate.Length(max=200))
        role = fields.String(required=True, validate=validate.Length(max=20))
        is_active = fields.Boolean(load_default=True)
        created_at = fields.DateTime(dump_only=True)
        score = fields.Float(load_default=0.0)

    return {'order': OrderSchema(), '25 users': UserSchema(many=True)}


ORDER = {
    'customer': {'email': 'ada.lovelace@example.com', 'name': 'Ada Lovelace'},
    'items': [
        {'sku': f'SKU-{number:05}', 'quantity': number, 'unit_price': Decimal(f'{number}9.90')}
        for number in range(1, 6)
    ],
    'created_at': dt.datetime(2026, 1, 15, 10, 30, tzinfo=dt.UTC),
    'tags': ['gift', 'express', 'new'],
}
USERS = [
    {
        'name': f'User {number}',
        'email': f'user.{number}@example.com',
        'role': 'admin' if number % 5 == 0 else 'user',
        'is_active': number % 3 != 0,
        'score': number * 1.5,
    }
    for number in range(25)
]
OBJECTS: dict[str, Any] = {
    'order': ORDER,
    '25 users': [
        SimpleNamespace(id=number, created_at=dt.datetime(2026, 1, 15, 10, 30, 5, 678, tzinfo=dt.UTC), **user)
        for number, user in enumerate(USERS)
    ],
}


def works() -> dict[str, Calls]:
    """Return what is done by each side, and check that all come to the same."""
    theirs, ours = schemas(marshmallow.Schema), schemas(colibris.schemas.Schema)
    found: dict[str, Calls] = {}
    for name, schema in theirs.items():
        obj, compiled = OBJECTS[name], ours[name]
        raw = encode_json(USERS if schema.many else schema.dump(obj))
        load, dump = loader(compiled), dumper(compiled, many=bool(schema.many))
        found[f'{name}, load'] = {
            'marshmallow': lambda schema=schema, raw=raw: schema.loads(raw),
            'marshmallow, msgspec': lambda schema=schema, raw=raw: schema.load(decode_json(raw)),
            'compiled': lambda load=load, raw=raw: load.json(raw),
        }
        found[f'{name}, dump'] = {
            'marshmallow': lambda schema=schema, obj=obj: schema.dumps(obj).encode(),
            'marshmallow, msgspec': lambda schema=schema, obj=obj: encode_json(schema.dump(obj)),
            'compiled': lambda dump=dump, obj=obj: dump.json(obj),
        }
    for name, calls in found.items():
        by_json, by_msgspec, compiled = (call() for call in calls.values())
        if not name.endswith('load'):
            by_json = encode_json(json.loads(by_json))
        if not by_json == by_msgspec == compiled:
            raise AssertionError(f'{name}: the results differ: {by_json!r}, {by_msgspec!r}, {compiled!r}')
    return found


def measure(calls: dict[tuple[str, str], Callable[[], Any]], rounds: int, number: int) -> dict[tuple[str, str], float]:
    """Return the CPU seconds that each of *calls* takes: the median of *rounds*, in which each runs *number* times."""
    times: dict[tuple[str, str], list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begun = time.thread_time()
            for _ in range(number):
                call()
            times[name].append((time.thread_time() - begun) / number)
    return {name: median(values) for name, values in times.items()}


def main(rounds: int, number: int) -> None:
    found = works()
    calls = {(name, side): call for name, sides in found.items() for side, call in sides.items()}
    seconds = measure(calls, rounds, number)
    sides = next(iter(found.values())).keys()
    print(f'marshmallow {version("marshmallow")}, Python {sys.version.split()[0]}; µs, and how many times as fast')
    print(f'  {"":16}', *(f'{side:>22}' for side in sides))
    sums = dict.fromkeys(sides, 0.0)
    for name in [*found, 'all']:
        row = {side: seconds[name, side] if name != 'all' else sums[side] for side in sides}
        print(f'  {name:16}', *(f'{value * 1e6:11.1f} {_times(value / row["compiled"]):>10}' for value in row.values()))
        sums = {side: sums[side] + row[side] for side in sides}


def _times(ratio: float) -> str:
    return '' if ratio == 1 else f'{ratio:.1f} x'


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--number', type=int, default=40)
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.number)
