-- Returns the timestamp of a collection; nothing if it was never written.
return version()
