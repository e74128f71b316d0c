-- Deletes a record.
-- ARGV: token, known version, lease, now, id, the requested timestamp or '', '1' to
-- keep a tombstone.
local id, requested = ARGV[5], tonumber(ARGV[6])

local obstacle_met = obstacle(ARGV[1], ARGV[2], ARGV[3])
if obstacle_met then return {obstacle_met} end

local old = redis.call('HGET', RECORDS, id)
if not old then return {'done', version(), false} end
if requested == time_of(old) then requested = nil end
local timestamp = delete_record(id, tonumber(ARGV[4]), requested, ARGV[7])
return {'done', version(), timestamp}
