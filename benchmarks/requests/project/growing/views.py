"""What is done with a request."""

from typing import Any

from colibris.schemas import ModelSchema
from colibris.views import APIView, ListModelView, PageNumberPagination
from growing import models


class Pagination(PageNumberPagination):
    max_page_size = 1000


class UserSchema(ModelSchema):
    class Meta:
        model = models.User
        fields = ('id', 'name', 'email', 'role', 'is_active', 'created_at', 'score')


class HelloView(APIView):
    async def get(self) -> Any:
        return {'hello': 'world'}


class UsersView(ListModelView):
    model = models.User
    body_schema_class = UserSchema
    pagination_class = Pagination
