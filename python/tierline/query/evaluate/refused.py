"""What only a database can answer, each with its reason."""

from __future__ import annotations

from tierline.query.assignments import RowRef
from tierline.query.evaluate.registry import NOT_IN_MEMORY
from tierline.query.expressions import Frame, Ranked
from tierline.query.paging import PageQuery
from tierline.query.parameters import Param
from tierline.query.query import Lock

NOT_IN_MEMORY.update(
    {
        Param: "its value is given when the query runs in a store",
        RowRef: "it is of the two rows of an upsert, which the database brings together",
        Lock: "only a database locks rows",
        PageQuery: "a store signs its cursors; use limit and offset, or a tl.memory_repository",
        Ranked: "it has a value among other rows only: tl.over(…)",
        Frame: "it is a part of tl.over(…)",
    }
)
