"""Alembic migrations of the corpus."""
