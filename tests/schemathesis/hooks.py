"""What schemathesis has to know about Reelway beyond its document.

Generated URLs lead to a port of this machine where nobody listens, and where two values depend on
each other, or one on the time, in a way that JSON Schema cannot say, generated ones are made to agree. What is
generated to be wrong is left as it is.
"""

import functools
import time

import jsonschema_rs
import schemathesis
from hypothesis import strategies as st

# Port 9 is the discard service: nobody has it.
URLS = st.builds(
    "http://127.0.0.1:9/{}".format,
    st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789-._~%20/?=&", max_size=24),
).map(lambda url: url.replace("%", "%25"))

schemathesis.openapi.format("uri", URLS)


def agree(kind, options):
    """Options whose values fit together."""
    start, end = options.get("start"), options.get("end")
    if isinstance(end, (int, float)) and not isinstance(end, bool):
        start = start if isinstance(start, (int, float)) else 0
        longest = 60 if kind == "animation" else 360000
        if not start < end <= start + longest:
            options["start"], options["end"] = 0, min(max(end, 1), longest)
    if options.get("background") is not None:
        options["fit"] = "contain"
        options["width"], options["height"] = 64, 64
    if kind == "video" and options.get("codec") is not None:
        options["format"] = "webm" if options["codec"] in ("vp9", "av1") else "mp4"
    if kind == "audio" and options.get("format") in ("wav", "flac"):
        options.pop("bitrate", None)


@functools.cache
def validator(operation):
    """Looks whether a body is one that the document allows."""
    document = operation.schema.raw_schema
    body = document["paths"][operation.path][operation.method]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    return jsonschema_rs.validator_for({"allOf": [schema], "components": document["components"]})


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict) or not validator(context.operation).is_valid(body):
        return body
    # A generated connection is never there.
    for name in ("connection_id", "output"):
        if context.operation.path in ("/jobs", "/process"):
            body.pop(name, None)
    # A key that has an end has it in the future.
    if context.operation.path == "/keys" and body.get("expires_at") is not None:
        body["expires_at"] = round((time.time() + 3600) * 1000)
    makings = [body, *(body["tasks"] if isinstance(body.get("tasks"), list) else [])]
    for making in makings:
        if isinstance(making, dict) and isinstance(making.get("options"), dict):
            agree(making.get("kind") or "video", making["options"])
    return body
