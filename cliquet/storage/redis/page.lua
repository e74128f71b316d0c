-- Reads a page.
-- ARGV: the minimum and the maximum timestamp on the page; '1' for oldest first; the limit,
-- -1: none; the minimum and the maximum timestamp to count; '1' to include tombstones;
-- the size in bytes at which the page ends, '': none.
-- Lists are returned as a few joined strings, which the client parses faster than many. Ids and
-- JSON contain no null characters.
local low, high, oldest_first, limit = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]

local function ids_in(key, ...)
  if oldest_first then
    return redis.call('ZRANGEBYSCORE', key, low, high, ...)
  end
  return redis.call('ZREVRANGEBYSCORE', key, high, low, ...)
end

-- Reads the ids, and the records of the page, fewer if they are large; nil if a record is missing.
local function read()
  local ids, records = ids_in(TIMES, 'LIMIT', 0, limit), {}
  local left = tonumber(ARGV[8]) or math.huge
  for first = 1, #ids, CHUNK do
    local last = math.min(first + CHUNK - 1, #ids)
    for _, record in ipairs(redis.call('HMGET', RECORDS, unpack(ids, first, last))) do
      if not record then return end
      if left > 0 then records[#records + 1] = record end
      left = left - #record
    end
    if left <= 0 then break end
  end
  return ids, records
end

local ids, records = read()
if not ids then
  rebuild()
  ids, records = read()
end
local dead = {}
if ARGV[7] == '1' then
  dead = ids_in(TOMBSTONES, 'WITHSCORES', 'LIMIT', 0, limit)
end
return {
  redis.call('GET', TIMESTAMP) or redis.call('GET', EPOCH) or '',
  redis.call('ZCOUNT', TIMES, ARGV[5], ARGV[6]),
  table.concat(ids, '\0'),
  table.concat(records, '\0'),
  table.concat(dead, '\0'),
  #records < #ids and 1 or 0,
}
