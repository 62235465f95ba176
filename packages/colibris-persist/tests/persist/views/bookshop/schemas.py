from bookshop.models import Account, Author, Book, Country, Sample, Shelf, Tag
from colibris.schemas import ModelSchema, Schema, fields, validate


class ShelfSchema(ModelSchema):
    class Meta:
        model = Shelf
        fields = ('letter', 'built')


class CountrySchema(ModelSchema):
    class Meta:
        model = Country
        fields = ('code', 'name')


class TagSchema(ModelSchema):
    class Meta:
        model = Tag
        fields = ('id', 'name')


class AuthorSchema(ModelSchema):
    class Meta:
        model = Author
        fields = ('id', 'name', 'country')


class BookSchema(ModelSchema):
    class Meta:
        model = Book
        fields = (
            'id', 'title', 'isbn', 'author', 'translator', 'tags', 'genre', 'price', 'pages', 'in_print', 'published',
            'created', 'updated',
        )  # fmt: skip


class DeepBookSchema(ModelSchema):
    author = fields.Nested(AuthorSchema(only=('id', 'name')))
    tags = fields.Nested(TagSchema, many=True)

    class Meta:
        model = Book
        fields = ('id', 'title', 'author', 'author_id', 'tags')


class DeepAuthorSchema(ModelSchema):
    country = fields.Nested(CountrySchema)
    books = fields.List(fields.Nested(lambda: DeepBookSchema(exclude=('author',))))

    class Meta:
        model = Author
        fields = ('id', 'name', 'country', 'books', 'translations')


class PlainBookSchema(Schema):
    """What somebody writes who knows marshmallow only."""

    id = fields.Integer(dump_only=True)
    title = fields.String(required=True)
    isbn = fields.String(allow_none=True)
    author_id = fields.Integer(required=True)
    pages = fields.Integer(allow_none=True)
    price = fields.Decimal(as_string=True)
    published = fields.DateTime(allow_none=True)


class PlainTagSchema(Schema):
    id = fields.Integer(dump_only=True)
    name = fields.String(required=True, validate=validate.Length(min=1))


class AccountSchema(ModelSchema):
    class Meta:
        model = Account
        fields = ('id', 'username', 'password', 'api_key')


class SampleSchema(ModelSchema):
    class Meta:
        model = Sample
        fields = (
            'id', 'small', 'number', 'big', 'char', 'text', 'flag', 'amount', 'ratio', 'moment', 'day', 'time',
            'period', 'uuid', 'data', 'blob', 'genre', 'stars',
        )  # fmt: skip
