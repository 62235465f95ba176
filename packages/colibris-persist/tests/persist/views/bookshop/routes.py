from bookshop import views

ROUTES = [
    ('/countries', views.CountriesView),
    ('/countries/{code}', views.CountryView),
    ('/tags', views.TagsView),
    ('/tags/{name}', views.TagView),
    ('/authors', views.AuthorsView),
    ('/authors/{id}', views.AuthorView),
    ('/books', views.BooksView),
    ('/books/{id}', views.BookView),
    ('/plain-books', views.PlainBooksView),
    ('/plain-books/{id}', views.PlainBookView),
    ('/deep-books', views.DeepBooksView),
    ('/deep-authors', views.DeepAuthorsView),
    ('/accounts', views.AccountsView),
    ('/accounts/{id}', views.AccountView),
    ('/samples', views.SamplesView),
    ('/samples/{id}', views.SampleView),
    ('/printed', views.PrintedBooksView),
    ('/printed/{id}', views.PrintedBookView),
    ('/tagged', views.TaggedBooksView),
    ('/tagged/{id}', views.TaggedBookView),
]
