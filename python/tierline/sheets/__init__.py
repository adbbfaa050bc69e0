"""Perform: reads and writes worksheets of Google Sheets."""
