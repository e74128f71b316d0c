"""SQLite connections, transactions and schemas."""
