"""Hooks that change the fields of their schema in place: what they change is read as marshmallow reads it."""

import marshmallow
import pytest

from colibris.schemas import Schema, ValidationError, fields, pre_dump, pre_load, validate
from colibris.schemas.compiled import loader
from colibris.schemas.compiled.dumping import dumpers
from colibris.schemas.compiled.explaining import How

#: So often are schemas used before they are changed: while there may be code for what they nest, and when there is for
#: all.
USES = {'new': 0, 'cold': 1, 'compiled': 24}
MANY = 9

LOADED = {
    'plan': 'b',
    'tags': ['long'],
    'pair': ['long', 1],
    'words': {'key': 'long'},
    'flag': 'yes',
    'inner': {'city': 'Ulm'},
    'inners': [{'city': 'Ulm', 'deep': {}}],
}
DUMPED = {
    'plan': 'b',
    'prices': [1.5],
    'pair': [1.5, 1],
    'words': {'key': 1.5},
    'inner': {'count': 1},
    'inners': [{'count': 1, 'deep': {'count': 1}}],
}


def order(base):
    """Return a new schema that derives from *base*; its hooks call its `change`."""

    class Deep(base):
        name = fields.String()

    class Inner(base):
        city = fields.String(validate=validate.Length(max=5))
        street = fields.String()
        deep = fields.Nested(Deep)

    class Order(base):
        plan = fields.String(validate=validate.And(validate.OneOf(['a', 'b']), validate.Length(max=5)))
        tags = fields.List(fields.String())
        pair = fields.Tuple((fields.String(), fields.Integer()))
        words = fields.Dict(keys=fields.String(), values=fields.String())
        flag = fields.Boolean(truthy={True, 'yes'}, falsy={False})
        inner = fields.Nested(Inner)
        inners = fields.List(fields.Nested(lambda: Inner()))
        change = staticmethod(lambda schema: None)

        @pre_load
        def hook(self, data, **kwargs):
            self.change(self)
            return data

    return Order()


def bill(base):
    """Return a new schema that derives from *base*; its hooks call its `change`."""

    class Deep(base):
        count = fields.Integer()

    class Inner(base):
        count = fields.Integer()
        deep = fields.Nested(Deep)

    class Bill(base):
        plan = fields.String()
        prices = fields.List(fields.Float())
        pair = fields.Tuple((fields.Float(), fields.Integer()))
        words = fields.Dict(values=fields.Float())
        missing = fields.Raw(dump_default=0)
        inner = fields.Nested(Inner())
        inners = fields.List(fields.Nested(Inner))
        change = staticmethod(lambda schema: None)

        @pre_dump
        def hook(self, obj, **kwargs):
            self.change(self)
            return obj

    return Bill()


def put(path, value):
    """Return a change that sets the attribute to which *path* leads from the fields."""

    def change(schema):
        *way, last = path.split('.')
        part = schema.fields
        for step in way:
            part = part[int(step)] if step.isdigit() else part[step] if type(part) is dict else getattr(part, step)
        setattr(part, last, value)

    change.path = path
    return change


def no_b(value):
    if value == 'b':
        raise ValidationError('No b.')


LOADING = [
    put('plan.validators', [no_b]),
    put('plan.validators.0.validators', (validate.OneOf(['a']),)),
    put('plan.validators.0.validators.0.choices', ['a']),
    put('plan.validators.0.validators.1.max', 0),
    lambda schema: schema.fields['plan'].validators[0].validators[0].choices.remove('b'),
    lambda schema: schema.fields['plan'].validators.append(validate.Length(min=2)),
    lambda schema: schema.fields['tags'].inner.validators.append(validate.Length(max=1)),
    put('tags.inner.load_default', 1),
    put('pair.tuple_fields.0.data_key', 'x'),
    lambda schema: schema.fields['pair'].tuple_fields[0].validators.append(validate.Length(max=1)),
    lambda schema: schema.fields['pair'].tuple_fields.pop(),
    lambda schema: schema.fields['words'].key_field.validators.append(validate.Length(max=1)),
    lambda schema: schema.fields['words'].value_field.validators.append(validate.Length(max=1)),
    lambda schema: schema.fields['flag'].truthy.discard('yes'),
    put('flag._deserialize', lambda *args, **kwargs: 'patched'),
    put('inner.schema.fields.street.required', True),
    put('inner.schema.fields.city.validators.0.max', 2),
    put('inner.schema.unknown', marshmallow.EXCLUDE),
    lambda schema: schema.fields['inner'].schema.load_fields.pop('city'),
    lambda schema: schema.fields['inner'].schema.fields['city'].validators.append(no_b),
    put('inners.inner.schema.fields.street.required', True),
    put('inners.inner.schema.fields.deep.schema.fields.name.required', True),
    put('inners.inner.schema.fields.deep.schema.fields.name.load_default', 'x'),
    put('inner.many', True),
    lambda schema: schema.load_fields.pop('tags'),
    lambda schema: schema.load_fields.update(tags=fields.Integer()),
]
DUMPING = [
    put('plan.data_key', 'x'),
    put('missing.dump_default', False),
    put('prices.inner.as_string', True),
    put('pair.tuple_fields.0.as_string', True),
    put('words.value_field.as_string', True),
    put('inner.schema.fields.count.as_string', True),
    put('inners.inner.schema.fields.count.as_string', True),
    put('inners.inner.schema.fields.deep.schema.fields.count.as_string', True),
    lambda schema: schema.dump_fields.pop('plan'),
    lambda schema: schema.fields['inner'].schema.dump_fields.pop('count'),
]


def name(change):
    return getattr(change, 'path', None)


def outcome(call, *args, **kwargs):
    try:
        return repr(call(*args, **kwargs))
    except (ValidationError, ValueError) as exc:
        return repr(exc)


def after(use, schema, uses, change):
    """Return what *use* does by *schema* when its hook has made a change, and then leaves it."""
    for _ in range(uses):
        use(schema)
    before = use(schema)
    left = [change]
    schema.change = lambda schema: left and left.pop()(schema)
    return before, use(schema), use(schema)


@pytest.mark.parametrize('uses', USES.values(), ids=USES)
@pytest.mark.parametrize('change', LOADING, ids=name)
def test_what_pre_load_changes_is_read_as_marshmallow_reads_it(uses, change):
    def use(schema):
        loads = outcome(schema.load, LOADED), outcome(schema.load, [LOADED] * MANY, many=True)
        return *loads, outcome(schema.validate, LOADED)

    assert after(use, order(Schema), uses, change) == after(use, order(marshmallow.Schema), uses, change)


@pytest.mark.parametrize('uses', USES.values(), ids=USES)
@pytest.mark.parametrize('change', DUMPING, ids=name)
def test_what_pre_dump_changes_is_read_as_marshmallow_reads_it(uses, change):
    def use(schema):
        return outcome(schema.dump, DUMPED), outcome(schema.dump, [DUMPED] * MANY, many=True)

    assert after(use, bill(Schema), uses, change) == after(use, bill(marshmallow.Schema), uses, change)


def is_compiled(schema):
    """Whether code loads by *schema*, as its hook leaves it."""
    kept = loader(schema)
    return not kept.watch.has_changed() and kept.by_field(schema.partial, schema.unknown) is not None


def test_what_is_not_changed_stays_compiled():
    schema = order(Schema)
    load = loader(schema)
    for data in ({}, {'inner': {}}, {'inners': [{}]}, LOADED, LOADED):  # which make the nested schemas one by one
        load(data)
        assert is_compiled(schema)
    out = bill(Schema)
    for obj in ({}, {'inner': {}}, DUMPED, DUMPED):
        for _ in range(9):
            out.dump(obj)
        assert not dumpers(out).watch.has_changed()


def test_code_is_used_again_when_a_change_is_taken_back():
    schema = order(Schema)
    loader(schema).run(LOADED)
    choices = schema.fields['plan'].validators[0].validators[0]
    schema.change = put('plan.validators.0.validators.0.choices', ['a'])
    kept = choices.choices
    assert 'plan' in schema.validate(LOADED)
    assert not is_compiled(schema)
    schema.change = put('plan.validators.0.validators.0.choices', kept)
    assert schema.validate(LOADED) == {}
    assert is_compiled(schema)


def test_code_for_a_nested_schema_alone_is_not_used_when_a_hook_has_changed_it():
    schema = order(Schema)
    inner = schema.fields['inner'].schema
    loader(inner)({'city': 'Ulm'})
    schema.change = put('inner.schema.fields.street.required', True)
    for _ in range(20):
        assert schema.validate({'inner': {'city': 'Ulm'}}) == {
            'inner': {'street': ['Missing data for required field.']}
        }


class Tree(Schema):
    value = fields.Integer()
    child = fields.Nested(lambda: Tree())


class Forest(Schema):
    tree = fields.Nested(Tree)
    change = staticmethod(lambda schema: None)

    @pre_load
    def hook(self, data, **kwargs):
        self.change(self)
        return data


def test_schemas_that_nest_themselves_are_watched_as_far_as_they_are_made():
    schema = Forest()
    for depth in range(1, 12):
        data = {'value': 1}
        for _ in range(depth):
            data = {'child': data}
        assert loader(schema)({'tree': data}) == {'tree': data}
        assert is_compiled(schema)
    schema.change = put('tree.schema.fields.child.schema.fields.child.schema.fields.value.required', True)
    assert schema.validate({'tree': {'child': {'child': {}}}}) == {
        'tree': {'child': {'child': {'value': ['Missing data for required field.']}}}
    }


def test_explain_tells_that_a_hook_has_changed_the_fields():
    schema, out = order(Schema), bill(Schema)
    for _ in range(12):
        schema.load(LOADED)
        out.dump(DUMPED)
    assert (schema.explain().load.how, out.explain().dump.how) == (How.BY_FIELD, How.BY_FIELD)
    schema.change, out.change = put('tags.inner.required', True), put('prices.inner.as_string', True)
    schema.load(LOADED)
    out.dump(DUMPED)
    assert (schema.explain().load.how, out.explain().dump.how) == (How.MARSHMALLOW, How.MARSHMALLOW)
    assert 'its fields were changed' in schema.explain().load.why
    assert 'its fields were changed' in out.explain().dump.why


def test_what_has_too_many_parts_to_look_at_is_left_to_marshmallow():
    schema = Forest()
    data = {'value': 1}
    for _ in range(60):  # as one client may do once
        data = {'child': data}
    for _ in range(MANY):
        assert schema.load({'tree': data}) == {'tree': data}
    for _ in range(3):
        assert schema.load({'tree': {'value': '1'}}) == {'tree': {'value': 1}}
    assert 'too many fields' in schema.explain().load.why
    schema.change = put('tree.schema.fields.value.required', True)
    assert schema.validate({'tree': {}}) == {'tree': {'value': ['Missing data for required field.']}}


def test_what_validators_keep_and_metadata_are_no_changes():
    class Counting(validate.Validator):
        calls = 0

        def __call__(self, value):
            self.calls += 1

    around = {}
    around['itself'] = [around]

    class Counted(Schema):
        name = fields.String(validate=Counting(), metadata=around)

        @pre_load
        def hook(self, data, **kwargs):
            return data

    schema = Counted()
    for _ in range(2 * MANY):
        assert schema.load({'name': 'a'}) == {'name': 'a'}
    assert schema.fields['name'].validators[0].calls == 2 * MANY
    assert schema.explain().load.how is How.BY_FIELD
