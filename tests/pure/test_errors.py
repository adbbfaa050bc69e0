"""The errors as values: a closed tree, readable, with typed attributes and no data in messages."""

from __future__ import annotations

import re
from typing import Any

import pytest

import tierline as tl
from tierline import errors

# A class is final, or its subclasses are these.
SUBCLASSES = {
    tl.RepositoryError: {
        *(tl.NotFoundError, tl.ValidationError, tl.DuplicateError, tl.ConstraintError),
        *(tl.ConflictError, tl.AccessDeniedError, tl.ConnectionError, tl.TimeoutError),
        *(tl.PoolExhaustedError, tl.QueryError, tl.DecodeError, tl.RateLimitedError),
        *(tl.OutcomeUnknownError, tl.SheetLayoutError, tl.ConfigurationError, tl.MigrationError),
    },
    tl.ConnectionError: {tl.CommitUnknownError},
}


def _classes(root: type[Exception] = tl.RepositoryError) -> list[type[Any]]:
    return [root, *(found for sub in root.__subclasses__() for found in _classes(sub))]


@pytest.mark.parametrize("error", _classes(), ids=lambda error: error.__name__)
def test_a_class_is_final_or_has_the_listed_subclasses(error: type[Any]) -> None:
    assert set(error.__subclasses__()) == SUBCLASSES.get(error, set())
    assert getattr(error, "__final__", False) == (error not in SUBCLASSES)


@pytest.mark.parametrize("error", _classes(), ids=lambda error: error.__name__)
def test_a_class_is_public_under_its_name_and_in_the_drawn_tree(error: type[Any]) -> None:
    assert getattr(tl, error.__name__) is error
    assert error.__name__ in tl.__all__
    assert error.__module__ == "tierline.errors"
    assert re.search(rf"\b{error.__name__}\b", errors.__doc__ or "")


def test_the_drawn_tree_names_no_class_that_does_not_exist() -> None:
    drawn = set(re.findall(r"\b[A-Z][A-Za-z]+Error\b", errors.__doc__ or ""))
    assert drawn == {error.__name__ for error in _classes()}


def test_none_is_a_builtin_of_the_same_name() -> None:
    # `except ConnectionError` of plain Python must not be taken for ours, nor ours for it.
    assert not issubclass(tl.ConnectionError, OSError)
    assert not issubclass(tl.TimeoutError, OSError)


def _made(error: type[Any]) -> tl.RepositoryError:
    details: dict[str, Any] = {"operation": "create", "table": "flights", "sqlstate": "23505"}
    if error is tl.ValidationError:
        found: tl.RepositoryError = error((tl.FieldError("id", "no"),), **details)
    elif error is tl.SheetLayoutError:
        del details["sqlstate"]
        found = error((tl.CellProblem("B7", "id", "no"),), **details)
    elif error is tl.TimeoutError:
        found = error("no", stage="lock", **details)
    else:
        found = error("no", **details)
    return found


@pytest.mark.parametrize("kind", _classes(), ids=lambda error: error.__name__)
def test_every_error_tells_where_and_what(kind: type[Any]) -> None:
    error = _made(kind)
    assert str(error) == f"flights.create: {error.message}"
    assert repr(error).startswith(f"{kind.__name__}({error.message!r}, operation='create', ")
    details = error.details()
    assert details["operation"] == "create"
    assert details["table"] == "flights"
    # A sheet has none.
    assert details.get("sqlstate") == (None if kind is tl.SheetLayoutError else "23505")
    assert details["attempt"] == 1
    assert "message" not in details
    assert "constraint" not in details, "what is not set is left out"


def test_an_error_without_a_place_is_its_message() -> None:
    assert str(tl.QueryError("no")) == "no"
    assert repr(tl.QueryError("no")) == "QueryError('no', attempt=1)"
    assert str(tl.QueryError("no", operation="fetch_all")) == "fetch_all: no"
    assert str(tl.QueryError("no", table="flights")) == "flights: no"


def test_a_validation_error_lists_its_fields() -> None:
    error = tl.ValidationError(
        (tl.FieldError("address.lines[0]", "is empty"), tl.FieldError("", "is no entity"))
    )
    assert error.message == "address.lines[0]: is empty; is no entity"
    assert [field.path for field in error.errors] == ["address.lines[0]", ""]
    assert error.details()["errors"] == error.errors


def test_a_layout_error_lists_its_cells() -> None:
    problems = tuple(tl.CellProblem(f"AB{n}", "id", "no") for n in range(2, 14))
    error = tl.SheetLayoutError(problems)
    assert error.message.startswith("AB2 (id) no; AB3 (id) no; ")
    assert error.message.endswith("; and 2 more")
    assert [one.row for one in error.problems[:2]] == [2, 3]
    whole = tl.CellProblem("", "", "there is no worksheet")
    assert tl.SheetLayoutError((whole,)).message == "there is no worksheet"
    assert whole.row == 0


def test_a_timeout_tells_which_limit_ran_out() -> None:
    assert tl.TimeoutError("no", stage="acquire").details() == {"attempt": 1, "stage": "acquire"}


def test_notes_do_not_get_into_logs() -> None:
    error = tl.QueryError("no")
    error.add_note("seen while testing")
    assert error.details() == {"attempt": 1}


def test_unwrap_raises_the_error_itself_with_its_cause() -> None:
    error, cause = tl.NotFoundError("no row"), KeyError("driver")
    error.__cause__ = cause
    with pytest.raises(tl.NotFoundError) as raised:
        tl.unwrap(tl.Failure(error))
    assert raised.value is error
    assert raised.value.__cause__ is cause


def test_unwrap_answers_with_the_value_of_a_success() -> None:
    assert tl.unwrap(tl.Success(None)) is None
