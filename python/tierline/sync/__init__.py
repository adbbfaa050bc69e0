"""Keeps a worksheet and a table equal: a three-way merge on a stored base.

    cells       a value as a JSON scalar, which is all that is ever compared
    rows        what a pass knows of a row on each side, and conflicts
    policies    who is right where both sides have changed a cell
    identity    which row of the sheet is which: ids, pasted rows, rows that have none
    merge       one cell and one row, merged
    plan        all rows, merged: what is to be done on each side, as a value that can be read
    rails       when a plan is refused as a whole
    operations  what was sent to the sheet, and what the base is once it landed
    repairs     what a batch did whose sender died before it looked

These are pure. What performs it:

    pair           what is kept equal: `tl.sync`
    sheet_side     from a worksheet to rows, and from a plan to what is written
    database_side  the table's rows, and its writes
    keeping        what the database keeps between passes
    fences         the marker in the sheet
    preparing      what a pass begins with, and its plan
    performing     the passes of a call
    reports        what is told

A pass reads both sides and the base, makes the plan, and performs it in an order in which a crash
at any point loses nothing:

1. One transaction of the database: each write `WHERE version = ` the version that was read (another
   one means that the app was faster: read again); the base of all that needs no write of the sheet
   (`Plan.base_now`); the conflicts; and the operation, which says what the sheet will be sent.
2. One atomic batch of the sheet. It moves the marker of the sheet from the one that was read to the
   operation's own, so that it lands once or never, and never late.
3. One transaction: the base of what has landed (`Plan.base_after`), and the operation is done.

A pass begins with the operation that a crash, or a reply that never came, left behind: the marker
says what became of it. See `tierline.sync.operations`.

A row that a person writes in the sheet is born there: its id goes into the sheet first, and the row
enters the database on a later pass, which reads the id. The other order doubles rows: after a crash
the row in the sheet would have no id, and one in the database would have no row.
"""
