-- Deletes a record.
-- ARGV: token, known version, lease, now, id, the requested timestamp or '', '1' to
-- keep a tombstone.
local id, forced = ARGV[5], tonumber(ARGV[6])

local obstacle_met = obstacle(ARGV[1], ARGV[2], ARGV[3])
if obstacle_met then return {obstacle_met} end

local old = redis.call('HGET', RECORDS, id)
if not old then return {'done', version(), false} end
if forced == time_of(old) then forced = nil end
local own = bury(id, tonumber(ARGV[4]), forced, ARGV[7])
return {'done', version(), own}
