-- Returns the timestamp of a collection, that of all others if it was never written.
local timestamp = version()
if timestamp == '' then timestamp = redis.call('GET', EPOCH) or '' end
return timestamp
