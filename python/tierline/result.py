"""`Result[T, E]` and the few helpers that keep it typed without a plugin.

A result is a genuine container of the `returns` library, so its methods and
point-free functions work. The alias is a union of the two final classes: that
makes `match` exhaustive and lets error types add up under pyright and mypy.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar, overload

from returns.result import Failure, Success

__all__ = ["Failure", "Result", "Success", "ask", "collect", "do", "flow", "then", "unwrap"]

_T = TypeVar("_T")
_E = TypeVar("_E", bound=Exception)
_U = TypeVar("_U")
_F = TypeVar("_F", bound=Exception)
_P = ParamSpec("_P")
_T_contra = TypeVar("_T_contra", contravariant=True)
_U_co = TypeVar("_U_co", covariant=True)
_F_co = TypeVar("_F_co", bound=Exception, covariant=True)

Result: TypeAlias = Success[_T] | Failure[_E]
"""`Success[T] | Failure[E]`: what every operation answers with."""


def ask(result: Success[_T] | Failure[_E]) -> Generator[Failure[_E], None, _T]:
    """Take the value out of a result inside a function decorated with `do`.

    Example:
        ``user = yield from tl.ask(users.get_by_id(7))``
    """
    if isinstance(result, Failure):
        yield result
        raise AssertionError("a generator that asks must be run by @tl.do")
    return result.unwrap()


def do(
    function: Callable[_P, Generator[Failure[_E], None, _T]],
) -> Callable[_P, Success[_T] | Failure[_E]]:
    """Run a generator of `ask` steps; the first `Failure` ends it and is the answer.

    Declare the generator as ``Generator[Failure[A | B], None, T]``: both type
    checkers then refuse an error that is not listed.

    Example:
        >>> from tierline.result import Success, ask, do
        >>> @do
        ... def total(a, b):
        ...     return (yield from ask(a)) + (yield from ask(b))
        >>> total(Success(1), Success(2))
        <Success: 3>
    """

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> Success[_T] | Failure[_E]:
        steps = function(*args, **kwargs)
        try:
            failure = next(steps)
        except StopIteration as stop:
            return Success(stop.value)
        steps.close()
        return failure

    return run


class Then(Generic[_T_contra, _U_co, _F_co]):
    """A function lifted over a result: what `then` makes."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[_T_contra], Success[_U_co] | Failure[_F_co]]) -> None:
        self._function = function

    def __call__(
        self, result: Success[_T_contra] | Failure[_E]
    ) -> Success[_U_co] | Failure[_E | _F_co]:
        return result if isinstance(result, Failure) else self._function(result.unwrap())


def then(function: Callable[[_T], Success[_U] | Failure[_F]]) -> Then[_T, _U, _F]:
    """Lift a function that answers with a result over a result; the error types add up.

    Example:
        >>> from tierline.result import Success, then
        >>> then(lambda n: Success(n + 1))(Success(1))
        <Success: 2>
    """
    return Then(function)


def collect(results: Iterable[Success[_T] | Failure[_E]]) -> Success[list[_T]] | Failure[_E]:
    """Gather many results into one: all the values, or the first failure.

    Example:
        >>> from tierline.result import Success, collect
        >>> collect([Success(1), Success(2)])
        <Success: [1, 2]>
    """
    values: list[_T] = []
    for result in results:
        if isinstance(result, Failure):
            return result
        values.append(result.unwrap())
    return Success(values)


def unwrap(result: Success[_T] | Failure[_E]) -> _T:
    """The value of a `Success`; raises the error of a `Failure` itself, with its cause."""
    if isinstance(result, Failure):
        raise result.failure()
    return result.unwrap()


_A = TypeVar("_A")
_B = TypeVar("_B")
_C = TypeVar("_C")
_D = TypeVar("_D")
_G = TypeVar("_G")
_H = TypeVar("_H")
_I = TypeVar("_I")
_J = TypeVar("_J")
_V = TypeVar("_V")
_W = TypeVar("_W")
_K = TypeVar("_K", bound=Exception)
_L = TypeVar("_L", bound=Exception)


# A step followed by lifted steps comes first: mypy cannot infer the value between a function
# that answers with a result and a generic callable, but it can match `Then` by name.
@overload
def flow(
    value: _A, f1: Callable[[_A], Success[_T] | Failure[_E]], f2: Then[_T, _U, _F], /
) -> Success[_U] | Failure[_E | _F]: ...
@overload
def flow(
    value: _A,
    f1: Callable[[_A], Success[_T] | Failure[_E]],
    f2: Then[_T, _U, _F],
    f3: Then[_U, _V, _K],
    /,
) -> Success[_V] | Failure[_E | _F | _K]: ...
@overload
def flow(
    value: _A,
    f1: Callable[[_A], Success[_T] | Failure[_E]],
    f2: Then[_T, _U, _F],
    f3: Then[_U, _V, _K],
    f4: Then[_V, _W, _L],
    /,
) -> Success[_W] | Failure[_E | _F | _K | _L]: ...
@overload
def flow(value: _A, f1: Callable[[_A], _B], /) -> _B: ...
@overload
def flow(value: _A, f1: Callable[[_A], _B], f2: Callable[[_B], _C], /) -> _C: ...
@overload
def flow(
    value: _A, f1: Callable[[_A], _B], f2: Callable[[_B], _C], f3: Callable[[_C], _D], /
) -> _D: ...
@overload
def flow(
    value: _A,
    f1: Callable[[_A], _B],
    f2: Callable[[_B], _C],
    f3: Callable[[_C], _D],
    f4: Callable[[_D], _G],
    /,
) -> _G: ...
@overload
def flow(
    value: _A,
    f1: Callable[[_A], _B],
    f2: Callable[[_B], _C],
    f3: Callable[[_C], _D],
    f4: Callable[[_D], _G],
    f5: Callable[[_G], _H],
    /,
) -> _H: ...
@overload
def flow(
    value: _A,
    f1: Callable[[_A], _B],
    f2: Callable[[_B], _C],
    f3: Callable[[_C], _D],
    f4: Callable[[_D], _G],
    f5: Callable[[_G], _H],
    f6: Callable[[_H], _I],
    /,
) -> _I: ...
@overload
def flow(
    value: _A,
    f1: Callable[[_A], _B],
    f2: Callable[[_B], _C],
    f3: Callable[[_C], _D],
    f4: Callable[[_D], _G],
    f5: Callable[[_G], _H],
    f6: Callable[[_H], _I],
    f7: Callable[[_I], _J],
    /,
) -> _J: ...
def flow(value: Any, /, *functions: Callable[[Any], Any]) -> Any:
    """Pass a value through up to seven functions, left to right.

    Example:
        >>> from tierline.result import flow
        >>> flow(" a ", str.strip, str.upper)
        'A'
    """
    for function in functions:
        value = function(value)
    return value
