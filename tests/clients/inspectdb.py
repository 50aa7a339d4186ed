"""Django's inspectdb makes a model of the table, which is then asked and referred to."""

import io
import os
import sys
from types import ModuleType
from urllib.parse import unquote, urlsplit

import django
from django.apps import AppConfig
from django.conf import settings
from django.core.management import call_command

url = urlsplit(os.environ["DATABASE_URL"])
here = os.path.dirname(os.path.abspath(__file__))


def module(name, **members):
    """A module without a file of its own."""
    made = ModuleType(name)
    made.__path__ = [here]
    made.__dict__.update(members)
    sys.modules[name] = made
    return made


class Todos(AppConfig):
    """The application."""

    name = "todos"
    path = here
    default_auto_field = "django.db.models.BigAutoField"


module("todos", apps=module("todos.apps", Todos=Todos))
settings.configure(
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": url.path.lstrip("/"),
            "USER": unquote(url.username),
            "PASSWORD": unquote(url.password or ""),
            "HOST": url.hostname,
            "PORT": url.port,
            "OPTIONS": {"options": f"-c search_path={os.environ['SCHEMA']},public"},
        }
    },
    INSTALLED_APPS=["todos.apps.Todos"],
    USE_TZ=True,
)
django.setup()

made = io.StringIO()
call_command("inspectdb", "users_sync", stdout=made)
source = made.getvalue()
for line in [
    "raw_json = models.JSONField(",
    "id = models.TextField(primary_key=True",
    "name = models.TextField(blank=True, null=True",
    "email = models.TextField(blank=True, null=True",
    "created_at = models.DateTimeField(blank=True, null=True",
    "updated_at = models.DateTimeField(blank=True, null=True",
    "deleted_at = models.DateTimeField(blank=True, null=True",
    "db_table = 'users_sync'",
]:
    assert line in source, f"{line}\n{source}"

# The models module of the application is what inspectdb has written.
models = module("todos.models")
exec(source, models.__dict__)

from django.db import connection
from django.db import models as fields


class Todo(fields.Model):
    """One that refers to a user."""

    user = fields.ForeignKey(models.UsersSync, fields.DO_NOTHING)
    title = fields.TextField()

    class Meta:
        app_label = "todos"
        db_table = '"public"."django_todos"'


with connection.schema_editor() as editor:
    editor.create_model(Todo)
Todo.objects.create(user_id=os.environ["USER_ID"], title="x")
todo = Todo.objects.select_related("user").get(user__deleted_at__isnull=True)
assert todo.user.name == "Ada Lovelace" and isinstance(todo.user.raw_json, dict)
assert todo.user.created_at.tzinfo is not None
with connection.schema_editor() as editor:
    editor.delete_model(Todo)
print("django: sees, joins, refers")
