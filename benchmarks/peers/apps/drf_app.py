"""Django REST Framework: settings and the application."""

import common
from django.conf import settings
from django.core.wsgi import get_wsgi_application

settings.configure(
    DEBUG=False,
    SECRET_KEY=common.SECRET,
    ALLOWED_HOSTS=['*'],
    ROOT_URLCONF='drf_service.urls',
    USE_TZ=True,
    TIME_ZONE='UTC',
    INSTALLED_APPS=['rest_framework', 'drf_service'],
    MIDDLEWARE=[],
    APPEND_SLASH=False,
    DEFAULT_AUTO_FIELD='django.db.models.AutoField',
    DATABASES={
        'default': {
            'ENGINE': 'django.db.backends.postgresql',
            'HOST': common.HOST,
            'PORT': common.DATABASE_PORT,
            'USER': common.USER,
            'PASSWORD': 'x',
            'NAME': common.DATABASE,
            'CONN_MAX_AGE': None,
        }
    },
    REST_FRAMEWORK={
        'DEFAULT_RENDERER_CLASSES': ['rest_framework.renderers.JSONRenderer'],
        'DEFAULT_PARSER_CLASSES': ['rest_framework.parsers.JSONParser'],
        'DEFAULT_AUTHENTICATION_CLASSES': [],
        'DEFAULT_PERMISSION_CLASSES': [],
        'UNAUTHENTICATED_USER': None,
    },
)
application = get_wsgi_application()
