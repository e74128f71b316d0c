-- Reads a page.
-- ARGV: the minimum and the maximum timestamp on the page; '1' for oldest first; the limit,
-- -1: none; the minimum and the maximum timestamp to count; '1' to include tombstones;
-- the size in bytes at which the page ends, '': none; the number of the ids that follow, which are the
-- only ones on the page, in any order, '': any record; 'all' for the checksum of all records, or 'ids'
-- and the ids of the records in the checksum.
-- Lists are returned as a few joined strings, which the client parses faster than many. Ids and
-- JSON contain no null characters.
local low, high, oldest_first, limit = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]
local chosen = tonumber(ARGV[9])
local rest = 10 + (chosen or 0)

local function ids_in(key, ...)
  if chosen then
    local found = {}
    for position = 10, rest - 1 do
      local time = redis.call('ZSCORE', key, ARGV[position])
      if time then
        found[#found + 1] = ARGV[position]
        if ... == 'WITHSCORES' then found[#found + 1] = time end
      end
    end
    return found
  end
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

-- Returns the checksum of the records.
local function checksum()
  local count, times, cubes = redis.call('ZCARD', TIMES), known_sums()
  if times then return count, times, cubes end
  times, cubes = 0, 0
  local entries = redis.call('ZRANGE', TIMES, 0, -1, 'WITHSCORES')
  for position = 2, #entries, 2 do
    times, cubes = add_time(times, cubes, tonumber(entries[position]), 1)
  end
  redis.pcall('SET', CHECKSUM, formatted_sums(times, cubes))  -- fails on a server without memory
  return count, times, cubes
end

-- Returns the checksum of the records with the ids in ARGV.
local function checksum_of_ids()
  local count, times, cubes, seen = 0, 0, 0, {}
  for position = rest + 1, #ARGV do
    local id = ARGV[position]
    local time = not seen[id] and tonumber(redis.call('ZSCORE', TIMES, id))
    seen[id] = true
    if time then
      count = count + 1
      times, cubes = add_time(times, cubes, time, 1)
    end
  end
  return count, times, cubes
end

local sums = {}
if ARGV[rest] == 'all' then sums = {checksum()} end
if ARGV[rest] == 'ids' then sums = {checksum_of_ids()} end

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
  sums,
}
