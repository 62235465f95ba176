"""Model views: views that list, create, show, change and delete the rows of a model."""

from colibris.persist.pagination import PageNumberPagination
from colibris.persist.views.base import ModelView
from colibris.persist.views.generic import (
    CreateModelView,
    DestroyModelView,
    ListCreateModelView,
    ListModelView,
    RetrieveDestroyModelView,
    RetrieveModelView,
    RetrieveUpdateDestroyModelView,
    RetrieveUpdateModelView,
    UpdateModelView,
)
from colibris.persist.views.mixins import CreateMixin, DestroyMixin, ListMixin, RetrieveMixin, UpdateMixin

__all__ = [
    'CreateMixin',
    'CreateModelView',
    'DestroyMixin',
    'DestroyModelView',
    'ListCreateModelView',
    'ListMixin',
    'ListModelView',
    'ModelView',
    'PageNumberPagination',
    'RetrieveDestroyModelView',
    'RetrieveMixin',
    'RetrieveModelView',
    'RetrieveUpdateDestroyModelView',
    'RetrieveUpdateModelView',
    'UpdateMixin',
    'UpdateModelView',
]
