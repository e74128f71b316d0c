"""The resource of the load test on Django REST Framework, with its view sets and serializers.

It follows the documentation of both: a model, a serializer, a ``ModelViewSet``, connections that
persist, and an authentication class. It has no synchronization, batches, permissions or events.
"""

import hashlib
import os
import time
import uuid
from base64 import b64decode
from typing import Any
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models

_URL = urlsplit(os.environ["PEERS_URL"])

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": _URL.path.lstrip("/"),
            "USER": unquote(_URL.username or ""),
            "PASSWORD": unquote(_URL.password or ""),
            "HOST": _URL.hostname or "",
            "PORT": _URL.port or "",
            "CONN_MAX_AGE": None,
        }
    },
    INSTALLED_APPS=["rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="a key of the benchmark",
    APPEND_SLASH=False,
    USE_TZ=True,
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

# These modules need the settings.
from django.urls import path  # noqa: E402
from rest_framework import serializers, viewsets  # noqa: E402
from rest_framework.authentication import BaseAuthentication  # noqa: E402
from rest_framework.permissions import BasePermission  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class User:
    """A user who sent credentials."""

    is_authenticated = True

    def __init__(self, pair: str) -> None:
        self.id = hashlib.sha256(pair.encode()).hexdigest()


class BasicAuthentication(BaseAuthentication):
    """Accept any user name and password."""

    def authenticate(self, request: Any) -> tuple[User, None] | None:
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        return (User(b64decode(value).decode()), None) if scheme == "Basic" else None


class IsAuthenticated(BasePermission):
    """Require credentials."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return bool(request.user)


def now() -> int:
    """Return the time in milliseconds."""
    return time.time_ns() // 1_000_000


class Mushroom(models.Model):
    """A record of one user."""

    id = models.CharField(primary_key=True, max_length=36)
    user_id = models.CharField(max_length=64, db_index=True)
    last_modified = models.BigIntegerField(db_index=True)
    name = models.CharField(max_length=200)
    size = models.IntegerField(default=0)
    edible = models.BooleanField(default=False)
    note = models.CharField(max_length=200, default="", blank=True)

    class Meta:
        app_label = "rest_framework"
        db_table = "django_mushrooms"


class MushroomSerializer(serializers.ModelSerializer[Mushroom]):
    """The fields of a record."""

    class Meta:
        model = Mushroom
        fields = ("id", "last_modified", "name", "size", "edible", "note")
        read_only_fields = ("id", "last_modified")


class MushroomViewSet(viewsets.GenericViewSet[Mushroom]):
    """The endpoints, with the bodies of the other services: ``{"data": …}``."""

    authentication_classes = [BasicAuthentication]
    permission_classes = [IsAuthenticated]
    serializer_class = MushroomSerializer
    lookup_field = "id"

    def get_queryset(self) -> Any:
        return Mushroom.objects.filter(user_id=self.request.user.id)

    def list(self, request: Any) -> Response:
        limit = int(request.query_params.get("_limit", 20))
        page = self.get_queryset().order_by("-last_modified")[:limit]
        return Response({"data": self.get_serializer(page, many=True).data})

    def create(self, request: Any) -> Response:
        serializer = self.get_serializer(data=request.data["data"])
        serializer.is_valid(raise_exception=True)
        serializer.save(id=str(uuid.uuid4()), user_id=request.user.id, last_modified=now())
        return Response({"data": serializer.data}, status=201)

    def destroy_all(self, request: Any) -> Response:
        self.get_queryset().delete()
        return Response({"data": []})

    def retrieve(self, request: Any, id: str) -> Response:
        return Response({"data": self.get_serializer(self.get_object()).data})

    def partial_update(self, request: Any, id: str) -> Response:
        serializer = self.get_serializer(self.get_object(), data=request.data["data"], partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save(last_modified=now())
        return Response({"data": serializer.data})

    def destroy(self, request: Any, id: str) -> Response:
        self.get_object().delete()
        return Response({"data": {"id": id, "deleted": True}})


class HelloView(APIView):
    """The description of the service."""

    def get(self, request: Any) -> Response:
        return Response({"project_name": "peers", "url": "/v1/"})


urlpatterns = [
    path("v1/", HelloView.as_view()),
    path(
        "v1/mushrooms",
        MushroomViewSet.as_view({"get": "list", "post": "create", "delete": "destroy_all"}),
    ),
    path(
        "v1/mushrooms/<str:id>",
        MushroomViewSet.as_view(
            {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
        ),
    ),
]

if Mushroom._meta.db_table not in connection.introspection.table_names():
    with connection.schema_editor() as editor:
        editor.create_model(Mushroom)
connection.close()

application = get_wsgi_application()
