"""The SQL text of functions: one table for the catalogue, one function for each other node.

`{0}`, `{1}`, … stand for the operands, `{all}` for all of them. Operands are in parentheses, a
parameter, a quoted name or a call, so each can stand anywhere.
"""

from __future__ import annotations

from typing import Final

from tierline.entity import ColumnType
from tierline.errors import QueryError
from tierline.query.calls import ArrayAll, ArrayAny, Call, Case, Cast, JsonPath
from tierline.query.expressions import ComparisonOperator, Expr
from tierline.sql.expressions import Parameters, collated, register, render


def _slice(form: str, length: str, from_: str, to: str) -> str:
    """A slice's form: bounds that count from the end are moved to count from the beginning."""
    start = f"CASE WHEN {from_} < 0 THEN greatest({length} + {from_}, 0) ELSE {from_} END"
    stop = f"CASE WHEN {to} < 0 THEN {length} + {to} ELSE {to} END"
    return form.replace("START", start).replace("STOP", stop)


_TEXT_SLICE = _slice(
    "substr({0}, (START + 1)::integer, greatest(STOP - (START), 0 * {2})::integer)",
    "char_length({0})", "{1}", "{2}",
)  # fmt: skip
_ARRAY_SLICE = _slice(
    "({0})[(START + 1)::integer:(STOP)::integer]", "cardinality({0})", "{1}", "{2}"
)
_ARRAY_FROM = _slice("({0})[(START + 1)::integer:]", "cardinality({0})", "{1}", "")
_ARRAY_TO = _slice("({0})[1:(STOP)::integer]", "cardinality({0})", "", "{1}")

# A half lies as far from the number cut off as from the one rounded; the even one of the two is
# twice the rounded half of the number.
_ROUND = (
    "(CASE WHEN round({x}, {n}) <> trunc({x}, {n}) "
    "AND abs(round({x}, {n}) - {x}) = abs({x} - trunc({x}, {n})) "
    "THEN 2 * round({x} * 0.5, {n}) ELSE round({x}, {n}) END)"
)
_DAYS = "floor(extract(epoch FROM {0}) / 86400)"

FORMS: Final[dict[str, str]] = {
    "lower": "lower({0})",
    "upper": "upper({0})",
    "strip": "btrim({0}, {1})",
    "lstrip": "ltrim({0}, {1})",
    "rstrip": "rtrim({0}, {1})",
    "replace": "replace({0}, {1}, {2})",
    "text_length": "char_length({0})::bigint",
    "text_at": "NULLIF(substr({0}, (CASE WHEN {1} < 0 THEN char_length({0}) + {1} ELSE {1} END "
    "+ 1)::integer, 1), '')",
    "text_from": "(CASE WHEN {1} = 0 THEN {0} ELSE right({0}, (- {1})::integer) END)",
    "text_to": "left({0}, ({1})::integer)",
    "text_slice": _TEXT_SLICE,
    "text_reverse": "reverse({0})",
    "like": "({0} LIKE {1})",
    "ilike": "({0} ILIKE {1})",
    "matches": "({0} ~ {1})",
    "bytes_length": "octet_length({0})::bigint",
    "abs": "abs({0})",
    "abs_interval": "(CASE WHEN {0} < '0'::interval THEN - {0} ELSE {0} END)",
    "floor": "floor({0})::bigint",
    "ceil": "ceil({0})::bigint",
    "truncate": "trunc({0})::bigint",
    "round_float": "round({0})::bigint",
    "round_numeric": _ROUND.format(x="{0}", n="({1})::integer"),
    "round_integer": _ROUND.format(x="({0})::numeric", n="({1})::integer") + "::bigint",
    "year": "extract(year FROM {0})::bigint",
    "month": "extract(month FROM {0})::bigint",
    "day": "extract(day FROM {0})::bigint",
    "hour": "extract(hour FROM {0})::bigint",
    "minute": "extract(minute FROM {0})::bigint",
    "second": "trunc(extract(second FROM {0}))::bigint",
    "microsecond": "(extract(microseconds FROM {0})::bigint % 1000000)",
    "weekday": "(extract(isodow FROM {0})::bigint - 1)",
    "isoweekday": "extract(isodow FROM {0})::bigint",
    "utc": "({0} AT TIME ZONE 'UTC')",
    "date": "({0})::date",
    "time": "({0})::time",
    "epoch": "extract(epoch FROM {0})::double precision",
    "days": f"{_DAYS}::bigint",
    "seconds": f"floor(extract(epoch FROM {{0}}) - {_DAYS} * 86400)::bigint",
    "microseconds": "(mod(mod(extract(epoch FROM {0}), 1) + 1, 1) * 1000000)::bigint",
    "total_seconds": "extract(epoch FROM {0})::double precision",
    "trunc_instant": "date_trunc({0}, {1}, {2})",
    "trunc_timestamp": "date_trunc({0}, {1})",
    "trunc_date": "date_trunc({0}, ({1})::timestamp)::date",
    "at_zone": "({0} AT TIME ZONE {1})",
    "array_length": "cardinality({0})::bigint",
    "array_at": "({0})[(CASE WHEN {1} < 0 THEN cardinality({0}) + {1} ELSE {1} END + 1)::integer]",
    "array_from": _ARRAY_FROM,
    "array_to": _ARRAY_TO,
    "array_slice": _ARRAY_SLICE,
    "array_contains": "({0} @> {1})",
    "array_overlaps": "({0} && {1})",
    "json_length": "(CASE WHEN jsonb_typeof({0}) = 'array' THEN jsonb_array_length({0}) END)"
    "::bigint",
    "json_contains": "({0} @> {1})",
    "coalesce": "COALESCE({all})",
    "nullif": "NULLIF({all})",
    "greatest": "GREATEST({all})",
    "least": "LEAST({all})",
}

# Forms that repeat their operands multiply the text when they are nested.
_TEXT_MAX = 20_000


@register
def _(node: Call, parameters: Parameters) -> str:
    operands = [render(operand, parameters) for operand in node.operands]
    if node.function in ("greatest", "least"):
        operands = [collated(text, node.type) for text in operands]
    text = FORMS[node.function].format(*operands, all=", ".join(operands))
    _check_size(text, sum(map(len, operands)))
    return text


def _check_size(text: str, operands: int) -> None:
    if len(text) > _TEXT_MAX and len(text) > 2 * operands:
        raise QueryError(
            "the query nests slices, rounding or casts too deeply; compute it in steps"
        )


@register
def _(node: Case, parameters: Parameters) -> str:
    branches = " ".join(
        f"WHEN {render(condition, parameters)} THEN {render(value, parameters)}"
        for condition, value in node.branches
    )
    otherwise = "" if node.otherwise is None else f" ELSE {render(node.otherwise, parameters)}"
    return f"(CASE {branches}{otherwise} END)"


@register
def _(node: Cast, parameters: Parameters) -> str:
    text = render(node.operand, parameters)
    made = cast_text(text, node.operand.type, node.result_type)
    _check_size(made, len(text))
    return made


def cast_text(text: str, from_: ColumnType, to: ColumnType) -> str:
    """The text of a cast between two scalar types."""
    match from_.wire, to.wire:
        case same, other if same == other:
            return text
        case (("float8" | "numeric"), "int8"):
            return f"trunc({text})::bigint"
        case "bool", "int8":
            return f"({text})::integer::bigint"
        case "float8", "numeric":
            return f"({text})::text::numeric"
        case (("int8" | "float8" | "numeric"), "bool"):
            return f"({text} <> 0)"
        case "timestamptz", "text":
            return f"(({text} AT TIME ZONE 'UTC')::text || '+00')"
        case "timestamptz", ("date" | "time" | "timestamp"):
            return f"({text} AT TIME ZONE 'UTC')::{to.sql}"
        case (("date" | "timestamp"), "timestamptz"):
            return f"(({text})::timestamp AT TIME ZONE 'UTC')"
        case "text", "bytea":
            return f"convert_to({text}, 'UTF8')"
        case _:
            return f"({text})::{to.sql}"


@register
def _(node: JsonPath, parameters: Parameters) -> str:
    text = render(node.operand, parameters)
    as_json = node.result_type.wire == "jsonb"
    if not node.steps:
        return f"NULLIF({text}, 'null'::jsonb)" if as_json else _json_scalar(
            f"({text} #>> ARRAY[]::text[])", node.result_type
        )  # fmt: skip
    *before, last = [_step(step, parameters) for step in node.steps]
    for step in before:
        text = f"({text} -> {step})"
    if as_json:
        return f"NULLIF({text} -> {last}, 'null'::jsonb)"
    return _json_scalar(f"({text} ->> {last})", node.result_type)


def _step(step: Expr, parameters: Parameters) -> str:
    text = render(step, parameters)
    return text if step.type.wire == "text" else f"({text})::integer"


def _json_scalar(text: str, type_: ColumnType) -> str:
    """What a JSON scalar's text means, as msgspec writes each type."""
    match type_.wire:
        case "text":
            return text
        case "bytea":
            return f"decode({text}, 'base64')"
        case "interval":
            # PostgreSQL reads ISO 8601 durations, but not their sign.
            return (
                f"(CASE WHEN left({text}, 1) = '-' THEN - (substr({text}, 2)::interval) "
                f"ELSE {text}::interval END)"
            )
        case _:
            return f"{text}::{type_.sql}"


_FLIPPED: dict[ComparisonOperator, ComparisonOperator] = {
    "=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<=",
}  # fmt: skip


@register
def _(node: ArrayAny, parameters: Parameters) -> str:
    return _quantified(node, "ANY", parameters)


@register
def _(node: ArrayAll, parameters: Parameters) -> str:
    return _quantified(node, "ALL", parameters)


def _quantified(node: ArrayAny | ArrayAll, quantifier: str, parameters: Parameters) -> str:
    operand, array = render(node.operand, parameters), render(node.array, parameters)
    if node.operator not in ("=", "<>"):
        operand = collated(operand, node.operand.type)
    return f"({operand} {_FLIPPED[node.operator]} {quantifier}({array}))"
