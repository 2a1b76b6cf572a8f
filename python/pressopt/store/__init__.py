"""The journal in SQLite: events in a hash chain, raw curves and spectra by digest."""

from pressopt.store.sqlite_journal import SqliteJournal, leave_wish

__all__ = ["SqliteJournal", "leave_wish"]
