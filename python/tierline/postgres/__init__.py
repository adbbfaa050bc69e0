"""The PostgreSQL performer."""
