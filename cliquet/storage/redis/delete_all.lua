-- Deletes records, in the given order or oldest first.
-- ARGV: token, known version, lease, now, '1' to keep tombstones, the minimum and the maximum
-- timestamp; then, to delete only some records: 'ids', and their ids.
local now, keep = tonumber(ARGV[4]), ARGV[5]

local obstacle_met = obstacle(ARGV[1], ARGV[2], ARGV[3])
if obstacle_met then return {obstacle_met} end

local ids
if ARGV[8] then
  ids = {}
  for position = 9, #ARGV do table.insert(ids, ARGV[position]) end
else
  ids = redis.call('ZRANGEBYSCORE', TIMES, ARGV[6], ARGV[7])
end
local reply = {'done', ''}
for _, id in ipairs(ids) do
  table.insert(reply, id)
  table.insert(reply, delete_record(id, now, nil, keep))
end
reply[2] = version()
return reply
