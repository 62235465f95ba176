from enum import Enum, IntEnum, StrEnum

from tortoise.validators import MinValueValidator

from colibris.persist import Model, fields


class Genre(StrEnum):
    NOVEL = 'novel'
    POETRY = 'poetry'


class Stars(IntEnum):
    ONE = 1
    TWO = 2


class Letter(Enum):
    A = 'A'
    Z = 'Z'


class Shelf(Model):
    letter = fields.CharEnumField(Letter, primary_key=True)
    built = fields.DatetimeField(unique=True)


class Country(Model):
    code = fields.CharField(max_length=2, primary_key=True)
    name = fields.CharField(max_length=50)


class Author(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=50, unique=True)
    country = fields.ForeignKeyField('models.Country', null=True, on_delete=fields.RESTRICT, related_name='authors')

    class Meta:
        ordering = ('name',)


class Tag(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=20, unique=True)


class Book(Model):
    id = fields.IntField(primary_key=True)
    title = fields.CharField(max_length=100)
    isbn = fields.CharField(max_length=13, null=True, unique=True)
    author = fields.ForeignKeyField('models.Author', related_name='books', on_delete=fields.RESTRICT)
    translator = fields.ForeignKeyField('models.Author', related_name='translations', null=True)
    tags = fields.ManyToManyField('models.Tag', related_name='books')
    genre = fields.CharEnumField(Genre, default=Genre.NOVEL)
    price = fields.DecimalField(max_digits=8, decimal_places=2, default='9.9')
    pages = fields.IntField(null=True, validators=[MinValueValidator(1)])
    in_print = fields.BooleanField(default=True)
    published = fields.DatetimeField(null=True)
    created = fields.DatetimeField(auto_now_add=True)
    updated = fields.DatetimeField(auto_now=True)

    class Meta:
        unique_together = (('author', 'title'),)


class Blurb(Model):
    book = fields.OneToOneField('models.Book', related_name='blurb', primary_key=True)
    text = fields.TextField()


class Account(Model):
    id = fields.UUIDField(primary_key=True)
    username = fields.CharField(max_length=30, unique=True)
    password = fields.CharField(max_length=100)
    api_key = fields.CharField(max_length=64, null=True)


class Sample(Model):
    """A column of each type, all of them nullable."""

    id = fields.BigIntField(primary_key=True)
    small = fields.SmallIntField(null=True)
    number = fields.IntField(null=True)
    big = fields.BigIntField(null=True)
    char = fields.CharField(max_length=10, null=True)
    text = fields.TextField(null=True)
    flag = fields.BooleanField(null=True)
    amount = fields.DecimalField(max_digits=12, decimal_places=4, null=True)
    ratio = fields.FloatField(null=True)
    moment = fields.DatetimeField(null=True)
    day = fields.DateField(null=True)
    time = fields.TimeField(null=True)
    period = fields.TimeDeltaField(null=True)
    uuid = fields.UUIDField(null=True)
    data = fields.JSONField(null=True)
    blob = fields.BinaryField(null=True)
    genre = fields.CharEnumField(Genre, null=True)
    stars = fields.IntEnumField(Stars, null=True)
