"""Serializers, views and URLs of Django REST Framework."""

from typing import Any

import tokens
from django.urls import path
from rest_framework import authentication, exceptions, generics, pagination, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from drf_service.models import User


class CustomerSerializer(serializers.Serializer):
    email = serializers.EmailField()
    name = serializers.CharField(min_length=1, max_length=100)


class ItemSerializer(serializers.Serializer):
    sku = serializers.CharField(max_length=32)
    quantity = serializers.IntegerField(min_value=1)
    unit_price = serializers.DecimalField(max_digits=12, decimal_places=2)


class OrderSerializer(serializers.Serializer):
    customer = CustomerSerializer()
    items = ItemSerializer(many=True)
    created_at = serializers.DateTimeField()
    tags = serializers.ListField(child=serializers.CharField())


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ('id', 'name', 'email', 'role', 'is_active', 'created_at', 'score')


class Pagination(pagination.PageNumberPagination):
    page_size = 25
    page_size_query_param = 'page_size'

    def get_paginated_response(self, data: Any) -> Response:
        paginator = self.page.paginator
        return Response(
            {
                'results': data,
                'count': paginator.count,
                'pages': paginator.num_pages,
                'page': self.page.number,
                'page_size': paginator.per_page,
            }
        )


class TokenAuthentication(authentication.BaseAuthentication):
    def authenticate_header(self, request: Request) -> str:
        return 'Bearer'

    def authenticate(self, request: Request) -> tuple[User, None]:
        try:
            account = tokens.account_id(request.META.get('HTTP_AUTHORIZATION'))
            return User.objects.get(pk=account), None
        except (tokens.Unauthorized, User.DoesNotExist):
            raise exceptions.AuthenticationFailed from None


class HelloView(APIView):
    def get(self, request: Request) -> Response:
        return Response({'hello': 'world'})


class OrdersView(APIView):
    def post(self, request: Request) -> Response:
        serializer = OrderSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(OrderSerializer(serializer.validated_data).data, status=201)


class UsersView(generics.ListCreateAPIView):
    queryset = User.objects.order_by('id')
    serializer_class = UserSerializer
    pagination_class = Pagination


class UserView(APIView):
    authentication_classes = (TokenAuthentication,)

    def get(self, request: Request, id: int) -> Response:
        if request.user.pk != id:
            raise exceptions.PermissionDenied
        return Response(UserSerializer(request.user).data)


urlpatterns = [
    path('hello', HelloView.as_view()),
    path('orders', OrdersView.as_view()),
    path('users', UsersView.as_view()),
    path('users/<int:id>', UserView.as_view()),
]
