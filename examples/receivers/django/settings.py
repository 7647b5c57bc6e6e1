"""The least that Django needs; a project that there is already has all of it but the last line."""

import os
from pathlib import Path

SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "signs nothing here")
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["webhooks"]
ROOT_URLCONF = "urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE", Path(__file__).parent / "receiver.db"),
    }
}

REELWAY_WEBHOOK_SECRET = os.environ["REELWAY_WEBHOOK_SECRET"]
