"""What a plan consists of: single writes of rows, decided conflicts, and notes for people."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from tierline.sync.policies import Take, Verdict
from tierline.sync.rows import Cells, Conflict, shown


class Insert(NamedTuple):
    """A row that one side lacks.

    Attributes:
        id: Its id.
        cells: All its cells.
    """

    id: str
    cells: Cells

    def __str__(self) -> str:
        return f"insert {self.id}: {_cells(self.cells)}"


class Update(NamedTuple):
    """Cells of a row that change; the others are not written.

    Attributes:
        id: The row's id.
        at: In the database the version that the row must still have, in the sheet the row's number
            when it was read.
        cells: The new cells.
    """

    id: str
    at: int
    cells: Cells

    def __str__(self) -> str:
        return f"update {self.id}: {_cells(self.cells)}"


class Delete(NamedTuple):
    """A row that goes.

    Attributes:
        id: The row's id.
        at: As in `Update`.
    """

    id: str
    at: int

    def __str__(self) -> str:
        return f"delete {self.id}"


class Birth(NamedTuple):
    """A row of the sheet that gets an id, in the sheet; a later pass brings it to the database.

    Attributes:
        place: The row's number when it was read.
        copy_of: The id that it has and another row keeps, if somebody pasted it.
    """

    place: int
    copy_of: str | None

    def __str__(self) -> str:
        why = "" if self.copy_of is None else f", a copy of {self.copy_of}"
        return f"give row {self.place} an id{why}"


class Decision(NamedTuple):
    """A conflict and what the policy says.

    Attributes:
        conflict: The conflict.
        verdict: Which side is right; "wait" puts it into the queue.
    """

    conflict: Conflict
    verdict: Verdict

    def __str__(self) -> str:
        if isinstance(self.verdict, Take):
            return f"{self.conflict}; both get {shown(self.verdict.cell)}"
        end = "waits for a decision" if self.verdict == "wait" else f"the {self.verdict} is right"
        return f"{self.conflict}; {end}"


NoteKind: TypeAlias = Literal["pasted", "revived", "restored", "overruled", "held", "unidentified"]
"""Why a note is there:

- `pasted`: rows had the same id; one keeps it.
- `revived`: one side deleted a row that the other had changed; it comes back.
- `restored`: a row that both sides had deleted is there again.
- `overruled`: as `revived`, but by the rules the deletion wins.
- `held`: the row is left as it is on both sides, because something in it cannot be read.
- `unidentified`: the row has no id and gets none.
"""


class Note(NamedTuple):
    """Something that a person may want to know.

    Attributes:
        kind: What happened.
        id: The row's id; None if it has none.
        text: The same for people.
    """

    kind: NoteKind
    id: str | None
    text: str

    def __str__(self) -> str:
        return self.text


def _cells(cells: Cells) -> str:
    return ", ".join(f"{field} = {shown(cell)}" for field, cell in cells.items())
