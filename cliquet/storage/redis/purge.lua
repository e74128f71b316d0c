-- Deletes tombstones, and returns their number.
-- ARGV: the maximum timestamp, in the syntax of ZRANGEBYSCORE; the maximum number, or ''.
local latest, limit = ARGV[1], ARGV[2]

if limit ~= '' then
  local window = {'-inf', latest, 'WITHSCORES', 'LIMIT', limit, 1}
  local first_kept = redis.call('ZRANGEBYSCORE', TOMBSTONES, unpack(window))
  if #first_kept > 0 then latest = '(' .. first_kept[2] end
end
return redis.call('ZREMRANGEBYSCORE', TOMBSTONES, '-inf', latest)
