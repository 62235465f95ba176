"""What cannot be known from the models is asked or told, never guessed."""

import pytest

from colibris.persist.migrations import MigrationError, QuestionUnanswered

BEFORE = """
class Item(Model):
    name = fields.CharField(max_length=10)
    size = fields.IntField(null=True)
"""
RENAMED = """
class Item(Model):
    title = fields.CharField(max_length=20)
    size = fields.IntField(null=True)
"""
RENAMED_MODEL = """
class Thing(Model):
    name = fields.CharField(max_length=10)
    size = fields.IntField(null=True)
"""
REQUIRED = BEFORE + '    count = fields.IntField()\n'


class Person:
    """Answers with what it was made with, and remembers what it was asked."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[object, ...]] = []

    def renamed_model(self, new, candidates):
        self.asked.append((new, *candidates))
        return self.answers.pop(0)

    def renamed_field(self, model, new, candidates):
        self.asked.append((model, new, *candidates))
        return self.answers.pop(0)

    def value(self, model, field, reason, proposal):
        self.asked.append((model, field, proposal))
        return self.answers.pop(0)


def test_a_possible_rename_without_an_answer_is_an_error_that_tells_both_choices(history):
    history.make(BEFORE)
    with pytest.raises(QuestionUnanswered) as caught:
        history.make(RENAMED)
    assert '--rename Item.name:title' in str(caught.value)
    assert '--no-rename' in str(caught.value)
    with pytest.raises(QuestionUnanswered, match=r'--rename Item:Thing.*--no-rename'):
        history.make(RENAMED_MODEL)
    assert history.files == ['0001_initial.py']


@pytest.mark.parametrize('rename', ['Item.name:title', 'name:title', 'Item.name:Item.title'])
def test_a_rename_that_is_told_keeps_the_column(history, rename):
    history.make(BEFORE)
    made = history.make(RENAMED, renames=[rename])
    assert made.summary == ('rename column item.name to title', 'alter column item.title (type)')
    assert made.losses == ()


def test_no_rename_drops_and_adds(history):
    history.make(BEFORE)
    made = history.make(RENAMED, no_rename=True, defaults=['Item.title=x'])
    assert made.summary == ('drop column item.name', 'add column item.title')
    assert made.losses == ('column item.name',)


def test_a_field_of_another_kind_is_no_rename(history):
    history.make(BEFORE)
    made = history.make(BEFORE.replace('name = fields.CharField(max_length=10)', 'day = fields.DateField(null=True)'))
    assert made.summary == ('drop column item.name', 'add column item.day')


def test_a_person_is_asked_for_renames(history):
    history.make(BEFORE)
    person = Person('name')
    assert history.make(RENAMED, ask=person).summary[0] == 'rename column item.name to title'
    assert person.asked == [('Item', 'title', 'name')]
    person = Person('Item')
    history.make(RENAMED.replace('Item', 'Thing'), ask=person)
    assert person.asked == [('Thing', 'Item')]


def test_a_person_can_say_that_a_field_is_new(history):
    history.make(BEFORE)
    person = Person(None, 'x')
    assert history.make(RENAMED, ask=person).summary == ('drop column item.name', 'add column item.title')
    assert person.asked == [('Item', 'title', 'name'), ('Item', 'title', None)]


def test_a_model_and_its_fields_are_renamed_together(history):
    history.make(BEFORE)
    made = history.make(RENAMED.replace('Item', 'Thing'), renames=['Item:Thing', 'Thing.name:title'])
    assert made.summary[:2] == ('rename table item to thing', 'rename column thing.name to title')


@pytest.mark.parametrize(
    ('rename', 'message'),
    [
        ('nonsense', 'expected Model.old_field:new_field'),
        ('Item.nothing:title', 'fits no change'),
        ('Item.size:name', 'fits no change'),
        ('name:', 'expected'),
    ],
)
def test_a_rename_that_makes_no_sense_is_an_error(history, rename, message):
    history.make(BEFORE)
    with pytest.raises(MigrationError, match=message):
        history.make(RENAMED, renames=[rename], no_rename=True, defaults=['Item.title=x'])


def test_a_rename_that_fits_two_models_must_say_which(history):
    two = BEFORE + BEFORE.replace('Item', 'Other')
    history.make(two)
    with pytest.raises(MigrationError, match='ambiguous'):
        history.make(RENAMED + RENAMED.replace('Item', 'Other'), renames=['name:title'])


def test_a_required_column_without_a_value_is_an_error_that_tells_the_option(history):
    history.make(BEFORE)
    with pytest.raises(QuestionUnanswered, match=r'--default Item.count=0'):
        history.make(REQUIRED)
    assert history.files == ['0001_initial.py']


def test_a_column_that_becomes_required_needs_a_value_too(history):
    history.make(BEFORE)
    with pytest.raises(QuestionUnanswered, match=r'--default Item.size=0'):
        history.make(BEFORE.replace('null=True', ''))


def test_a_person_is_asked_for_the_value_and_may_take_the_field_s_default(history):
    history.make(BEFORE)
    person = Person('')
    history.make(BEFORE + '    count = fields.IntField(default=5)\n', ask=person)
    assert person.asked == [('Item', 'count', '5')]
    assert 'SELECT "id", "name", "size", 5' in (history.folder.path / history.files[-1]).read_text()


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('fields.IntField()', 'x', "Item.new: 'x' is not a value for a IntField"),
        ('fields.CharField(max_length=3)', 'long', 'is not a value for a CharField'),
        ('fields.DateField()', 'tomorrow', 'is not a value for a DateField'),
        ('fields.BooleanField()', 'maybe', 'true or false is expected'),
        ('fields.UUIDField()', '1', 'is not a value for a UUIDField'),
        ('fields.TextField()', 'a\0b', 'NUL'),
    ],
)
def test_a_value_that_the_field_does_not_take_is_an_error(history, field, value, message):
    history.make(BEFORE)
    with pytest.raises(MigrationError, match=message):
        history.make(f'{BEFORE}    new = {field}\n', defaults=[f'Item.new={value}'])


@pytest.mark.parametrize('default', ['Item.size=3', 'Item.nothing=3'])
def test_a_value_that_nothing_needs_is_an_error(history, default):
    history.make(BEFORE)
    with pytest.raises(MigrationError, match='fits no change'):
        history.make(REQUIRED, defaults=['Item.count=1', default])


def test_a_new_primary_key_is_refused(history):
    history.make(BEFORE)
    with pytest.raises(MigrationError, match=r'Item.id: the primary key changes from INT to UUID'):
        history.make(BEFORE + '    id = fields.UUIDField(primary_key=True)\n')


@pytest.mark.parametrize('default', ["default='tomorrow'", "db_default='tomorrow'"])
def test_a_default_that_is_no_value_for_its_field_is_named(history, default):
    history.make(BEFORE)
    with pytest.raises(MigrationError, match=r"Item\.due: 'tomorrow' is not a value for a DatetimeField"):
        history.make(BEFORE + f'    due = fields.DatetimeField({default})\n')


LONG = 'a_name_that_nobody_would_ever_choose_for_anything_but_who_knows_it'


@pytest.mark.parametrize(
    ('source', 'option'),
    [
        (BEFORE + f"    class Meta:\n        table = '{LONG}'\n", 'table'),
        (BEFORE + f'    {LONG} = fields.IntField(null=True)\n', 'source_field'),
        (BEFORE + f"    class Meta:\n        indexes = [Index(fields=['size'], name='{LONG}')]\n", 'name of the index'),
        (
            BEFORE + f"    items = fields.ManyToManyField('models.Item', related_name='back', through='{LONG}')\n",
            'through',
        ),
    ],
)
def test_a_name_that_databases_would_cut_off_is_refused(history, source, option):
    with pytest.raises(MigrationError, match=f"'{LONG}' is longer than the 63 bytes.* by {option}"):
        history.make(source)
