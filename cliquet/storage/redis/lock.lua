-- Acquires or keeps the lock, and reads a record.
-- ARGV: token, lease, id.
local holder = redis.call('GET', LOCK)
if holder and holder ~= ARGV[1] then return {'busy'} end
redis.call('SET', LOCK, ARGV[1], 'PX', ARGV[2])
return {'done', version(), redis.call('HGET', RECORDS, ARGV[3])}
