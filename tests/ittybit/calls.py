"""Makes every call that PyPI's `ittybit` has, and prints what came of each as JSON.

    python calls.py BASE_URL KEY INPUT_URL

A call that came back with what it was to bring is `works`; one that was refused is its status.
"""

import json
import sys

from ittybit import Ittybit
from ittybit.core.api_error import ApiError

base_url, key, input_url = sys.argv[1:]
client = Ittybit(base_url=base_url, api_key=key, timeout=20)
made = {}


def create_task():
    made["task"] = client.tasks.create(
        request={"kind": "video", "input": input_url, "options": {"width": 64}}
    ).id


def get_task():
    task = client.tasks.get(made.get("task", "task_01h2xcejqtf2nbrexx3vqjhp41"))
    assert task.id == made["task"] and task.kind == "video", task


SOME = "med_01h2xcejqtf2nbrexx3vqjhp41"

CALLS = {
    "tasks.create": create_task,
    "tasks.get": get_task,
    "tasks.list": lambda: client.tasks.list(limit=1),
    "files.create": lambda: client.files.create(url=input_url),
    "files.list": lambda: client.files.list(limit=1),
    "files.get": lambda: client.files.get(SOME),
    "files.update": lambda: client.files.update(SOME),
    "files.delete": lambda: client.files.delete(SOME),
    "media.create": lambda: client.media.create(),
    "media.list": lambda: client.media.list(limit=1),
    "media.get": lambda: client.media.get(SOME),
    "media.update": lambda: client.media.update(SOME),
    "media.delete": lambda: client.media.delete(SOME),
    "automations.create": lambda: client.automations.create(trigger={"kind": "event", "event": "media.created"}, workflow=[]),
    "automations.list": lambda: client.automations.list(limit=1),
    "automations.get": lambda: client.automations.get(SOME),
    "automations.update": lambda: client.automations.update(SOME),
    "automations.delete": lambda: client.automations.delete(SOME),
    "signatures.create": lambda: client.signatures.create(filename="a.mp4"),
}


def outcome(call):
    try:
        call()
    except ApiError as error:
        return str(error.status_code)
    return "works"


# Nothing is left out: a client that can do more has to be asked for it.
for name in ("automations", "files", "media", "tasks", "signatures"):
    methods = [m for m in dir(getattr(client, name)) if not m.startswith(("_", "with_raw"))]
    missing = {f"{name}.{method}" for method in methods} - CALLS.keys()
    assert not missing, missing

print(json.dumps({name: outcome(call) for name, call in CALLS.items()}))
