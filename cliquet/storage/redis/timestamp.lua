-- Returns the timestamp of a collection; if it was never written, that of all such collections.
local timestamp = version()
if timestamp == '' then timestamp = redis.call('GET', EPOCH) or '' end
return timestamp
