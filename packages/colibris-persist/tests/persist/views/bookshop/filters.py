from bookshop.models import Author, Book, Sample
from colibris.schemas import ModelFilter, fields

COMPARED = ['eq', 'not', 'gt', 'ge', 'lt', 'le', 'in', 'null']
EQUAL = ['eq', 'not', 'in', 'null']


class AuthorFilter(ModelFilter):
    class Meta:
        model = Author
        fields = ('name', 'country')
        search = ('name', 'country__name')


class BookFilter(ModelFilter):
    cheap = fields.Boolean()

    class Meta:
        model = Book
        fields = {  # noqa: RUF012
            'title': ['eq', 'not', 'in', 'like', 'ilike', 'gt', 'le'],
            'author': EQUAL,
            'author__name': ['eq', 'ilike'],
            'author__country': ['eq', 'in'],
            'translator': EQUAL,
            'translator__name': ['null'],
            'tags': EQUAL,
            'tags__name': ['eq', 'ilike', 'in'],
            'blurb': ['null'],
            'genre': EQUAL,
            'price': COMPARED,
            'pages': COMPARED,
            'in_print': ['eq', 'null'],
            'published': COMPARED,
        }
        ordering = ('title', 'price', 'published', 'author__name')
        search = ('title', 'author__name')

    def filter_cheap(self, query, value):
        return query.filter(price__lt=10) if value else query.filter(price__gte=10)


class SampleFilter(ModelFilter):
    class Meta:
        model = Sample
        fields = {  # noqa: RUF012
            **dict.fromkeys(('small', 'number', 'big', 'amount', 'ratio', 'moment', 'day', 'time', 'period'), COMPARED),
            **dict.fromkeys(('char', 'text'), (*COMPARED, 'like', 'ilike')),
            **dict.fromkeys(('flag', 'uuid', 'genre', 'stars'), EQUAL),
            **dict.fromkeys(('data', 'blob'), 'null'),
        }
        ordering = ('small', 'amount', 'moment', 'char')
