"""Google's discovery documents: which fields, types and names answers and requests may have."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tierline.testing.sheets.exchange import Request
from tierline.testing.sheets.masks import Mask, parse
from tierline.testing.sheets.service import Outcome

Json = dict[str, Any]

NAMES = ("sheets.v4", "drive.v3")


def documents() -> dict[str, Json]:
    """The documents by the paths of their APIs; none where google-api-python-client is missing.

    They are no part of the repository: they are taken from that package, or from the folder that
    TIERLINE_DISCOVERY names.
    """
    given = os.environ.get("TIERLINE_DISCOVERY")
    package = importlib.util.find_spec("googleapiclient")
    if given is not None:
        folder = Path(given)
    elif package is not None and package.origin is not None:
        folder = Path(package.origin).parent / "discovery_cache" / "documents"
    else:
        return {}
    return {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in NAMES}


class Method(NamedTuple):
    """A method of an API."""

    id: str
    verb: str
    path: re.Pattern[str]
    parameters: frozenset[str]
    takes: Json
    answers: Json
    schemas: Json


def methods(document: Json) -> list[Method]:
    """The methods of a document; those with the longest paths first, for others match them too."""
    found = list(_methods(document, document))
    return sorted(found, key=lambda method: -len(method.path.pattern))


def _methods(resource: Json, document: Json) -> Iterator[Method]:
    for one in resource.get("methods", {}).values():
        path = re.escape("/" + document["servicePath"] + one.get("flatPath", one["path"]))
        parameters = {**document.get("parameters", {}), **one.get("parameters", {})}
        yield Method(
            one["id"],
            one["httpMethod"],
            re.compile(re.sub(r"\\\{.*?\\\}", "[^/]+?", path)),
            frozenset(parameters),
            one.get("request", {}),
            one.get("response", {}),
            document["schemas"],
        )
    for below in resource.get("resources", {}).values():
        yield from _methods(below, document)


_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}


def breaches(value: Any, schema: Json, schemas: Json, path: str = "") -> Iterator[str]:
    """What of a JSON value a schema does not allow."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    kind = schema.get("type", "any")
    if kind == "any":
        return
    is_bool = isinstance(value, bool)
    if not isinstance(value, _KINDS[kind]) or is_bool != (kind == "boolean"):
        yield f"{path} is no {kind}: {value!r:.40}"
    elif kind == "array":
        for item in value:
            yield from breaches(item, schema["items"], schemas, f"{path}[]")
    elif kind == "object":
        known = schema.get("properties", {})
        for name, item in value.items():
            inner = known.get(name, schema.get("additionalProperties"))
            if inner is None:
                yield f"{path}.{name} is unknown"
            else:
                yield from breaches(item, inner, schemas, f"{path}.{name}")
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path} is none of its names: {value!r:.40}"


def mask_breaches(mask: Mask, schema: Json, schemas: Json, path: str = "") -> Iterator[str]:
    """What a field mask names that an answer does not have."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if schema.get("type") == "array":
        yield from mask_breaches(mask, schema["items"], schemas, path)
        return
    for name, below in mask.items():
        inner = schema.get("properties", {}).get(name)
        if name != "*" and inner is None:
            yield f"mask {path}.{name} is unknown"
        elif inner is not None:
            yield from mask_breaches(below, inner, schemas, f"{path}.{name}")


def told(known: list[Method], request: Request, outcome: Outcome, *, ours: bool) -> Iterator[str]:
    """What an answer breaks, and of our own client the request too.

    Args:
        known: The methods of the APIs.
        request: What was asked.
        outcome: What came back.
        ours: Whether the library asked; gspread sends nulls that Google takes for nothing.
    """
    if not request.path.startswith(("/v4/", "/drive/v3/")) or outcome.reply.status >= 400:
        return
    fits = [one for one in known if one.verb == request.method and one.path.fullmatch(request.path)]
    if not fits:
        yield f"{request.method} {request.path} is no method"
        return
    method = fits[0]
    if ours:
        found = [
            *(f"parameter {name} is unknown" for name in request.query.keys() - method.parameters)
        ]
        if request.body:
            found += breaches(json.loads(request.body), method.takes, method.schemas, "request")
        fields = request.option("fields")
        if fields:
            found += mask_breaches(parse(fields), method.answers, method.schemas)
        yield from (f"{method.id}: {one}" for one in found)
    if outcome.reply.body and "json" in outcome.reply.content_type:
        body = json.loads(outcome.reply.body)
        yield from (f"{method.id}: {one}" for one in breaches(body, method.answers, method.schemas))
