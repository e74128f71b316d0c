"""Database drivers that the storage, permission and cache backends share."""
