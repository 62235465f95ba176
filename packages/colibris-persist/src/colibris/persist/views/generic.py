"""Model views for the usual combinations of what can be done with rows."""

from colibris.persist.views.base import ModelView
from colibris.persist.views.mixins import CreateMixin, DestroyMixin, ListMixin, RetrieveMixin, UpdateMixin


class ListModelView(ModelView, ListMixin):
    """Lists rows."""


class CreateModelView(ModelView, CreateMixin):
    """Creates rows."""


class ListCreateModelView(ModelView, ListMixin, CreateMixin):
    """Lists rows and creates them."""


class RetrieveModelView(ModelView, RetrieveMixin):
    """Shows one row."""


class UpdateModelView(ModelView, UpdateMixin):
    """Changes one row."""


class DestroyModelView(ModelView, DestroyMixin):
    """Deletes one row."""


class RetrieveUpdateModelView(ModelView, RetrieveMixin, UpdateMixin):
    """Shows one row and changes it."""


class RetrieveDestroyModelView(ModelView, RetrieveMixin, DestroyMixin):
    """Shows one row and deletes it."""


class RetrieveUpdateDestroyModelView(ModelView, RetrieveMixin, UpdateMixin, DestroyMixin):
    """Shows one row, changes and deletes it."""
