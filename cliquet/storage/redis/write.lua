-- Creates or replaces a record.
-- ARGV: token, known version, lease, now, id, the requested timestamp or '', JSON,
-- '1' to replace an existing record, the number of unique fields; the name and the digest of
-- each; and, for the index: field, id, timestamp and digest of other records.
local token, known, lease = ARGV[1], ARGV[2], ARGV[3]
local now, id, requested, json = tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6]), ARGV[7]

local obstacle_met = obstacle(token, known, lease)
if obstacle_met then return {obstacle_met} end

local old = redis.call('HGET', RECORDS, id)
if old and ARGV[8] ~= '1' then return {'same', id, old} end

local digest_of, fields = {}, {}
local position = 10
for _ = 1, tonumber(ARGV[9]) do
  local field = ARGV[position]
  table.insert(fields, field)
  digest_of[field] = ARGV[position + 1]
  position = position + 2
  -- The field is unique for the first time: the digests of all other records are unknown.
  if redis.call('SADD', FIELDS, field) == 1 or not is_whole(field) then forget(field) end
end

while position < #ARGV do
  local field, other = ARGV[position], ARGV[position + 1]
  local record = redis.call('HGET', RECORDS, other)
  if record and time_of(record) == tonumber(ARGV[position + 2])
      and redis.call('SREM', UNKNOWN .. field, other) == 1 then
    local digest = ARGV[position + 3]
    redis.call('HSET', DIGESTS .. field, other, digest)
    redis.call('ZADD', SAME .. field, 0, digest .. other)
  end
  position = position + 4
end

for _, field in ipairs(fields) do
  local others = redis.call('SRANDMEMBER', UNKNOWN .. field, CHUNK)
  if #others > 0 then
    local reply = {'index', field}
    for _, other in ipairs(others) do
      table.insert(reply, other)
      table.insert(reply, redis.call('HGET', RECORDS, other))
    end
    return reply
  end
  -- Digests have a fixed length, and ids contain no byte 255.
  local from, to = '[' .. digest_of[field], '(' .. digest_of[field] .. '\255'
  for _, entry in ipairs(redis.call('ZRANGEBYLEX', SAME .. field, from, to, 'LIMIT', 0, 2)) do
    local other = string.sub(entry, #digest_of[field] + 1)
    if other ~= id then return {'same', other, redis.call('HGET', RECORDS, other), field} end
  end
end

local old_time = old and time_of(old)
if requested == old_time then requested = nil end
redis.call('ZREM', TIMES, id)
redis.call('ZREM', TOMBSTONES, id)
local timestamp = advance(now, requested, old_time, true)
redis.call('HSET', RECORDS, id, digits(timestamp) .. ' ' .. json)
redis.call('ZADD', TIMES, timestamp, id)
index(id, digest_of)
return {'done', version(), timestamp}
