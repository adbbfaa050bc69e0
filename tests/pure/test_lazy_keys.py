"""Keys that are worked out when somebody asks."""

from __future__ import annotations

from tierline.repository.keys import LazyKeys


def test_keys_are_worked_out_once_and_only_when_asked_for() -> None:
    asked: list[int] = []

    def key_of(number: int) -> str:
        asked.append(number)
        return str(number)

    keys = LazyKeys(key_of, [1, 2, 3])
    assert len(keys) == 3
    assert asked == []
    assert [*keys] == ["1", "2", "3"]
    assert (keys[1], keys[1:], "3" in keys) == ("2", ["2", "3"], True)
    assert asked == [1, 2, 3]
    assert [*LazyKeys(key_of, [])] == []
