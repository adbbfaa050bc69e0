"""Texts that a spreadsheet would take for something else if it parsed them."""

_WIDE = "\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}"
LEADING = f"=+-@\t\r\n'|%{_WIDE}\N{FULLWIDTH COMMERCIAL AT}"
PAYLOADS = [
    f"{lead}{rest}"
    for lead in LEADING
    for rest in (
        "1+1", "SUM(A1:A9)", 'HYPERLINK("http://x","y")', "cmd|' /C calc'!A0", "IMPORTDATA(1)",
        "A1", "@SUM(1)", "2026-01-01", "TRUE", "007", "1e5", "-1", "", " ", "'", '"', ",", ";",
    )
]  # fmt: skip
