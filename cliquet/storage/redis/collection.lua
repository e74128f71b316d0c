-- Common part of the scripts of a collection: they begin with this file.
-- KEYS: timestamp, records, times, tombstones, lock, those of the unique fields, checksum, and the
-- timestamp of collections that were never written.
-- The value of a record is its timestamp, a space, and the JSON of its fields. The sorted sets
-- of times and tombstones contain the ids of records and deleted records, by timestamp.
local TIMESTAMP, RECORDS, TIMES, TOMBSTONES, LOCK = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- The names of all fields that were ever unique; then prefixes of keys by field: digests of
-- values by id, ids sorted by digest, and the ids whose digest is not known yet.
local FIELDS, DIGESTS, SAME, UNKNOWN = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
-- The timestamp of the collection, and the sums of its checksum at that time. If the timestamp isn't
-- the current one, they are unknown and computed again when they are needed. Without records, the
-- key is missing.
local CHECKSUM = KEYS[10]
local EPOCH = KEYS[11]

-- The moduli of the sums: see cliquet/storage/checksums.py.
local TIME_MODULUS, CUBE_MODULUS = 67108859, 67108837

-- A number of values that is safe for one call.
local CHUNK = 1000

-- Formats an integer with all its digits.
local function digits(number)
  return string.format('%.0f', number)
end

local function time_of(record)
  return tonumber(string.match(record, '^%S+'))
end

-- Adds ids to a set, in chunks.
local function add_all(key, ids)
  for first = 1, #ids, CHUNK do
    redis.call('SADD', key, unpack(ids, first, math.min(first + CHUNK - 1, #ids)))
  end
end

-- Drops the digests of a field: those of all records must be computed again.
local function forget(field)
  redis.call('DEL', DIGESTS .. field, SAME .. field, UNKNOWN .. field)
  add_all(UNKNOWN .. field, redis.call('HKEYS', RECORDS))
end

-- Returns whether the index of a unique field is consistent: records have one digest, or none yet.
local function is_whole(field)
  local count = redis.call('HLEN', DIGESTS .. field)
  return count == redis.call('ZCARD', SAME .. field)
    and count + redis.call('SCARD', UNKNOWN .. field) == redis.call('HLEN', RECORDS)
end

local function highest(key)
  return tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or '0')
end

-- Rebuilds the keys of a collection from its records. This counts as a change, because
-- clients' caches can be outdated.
local function rebuild()
  redis.call('DEL', TIMES)
  local all = redis.call('HGETALL', RECORDS)
  for position = 1, #all, 2 do
    redis.call('ZADD', TIMES, time_of(all[position + 1]), all[position])
  end
  for _, field in ipairs(redis.call('SMEMBERS', FIELDS)) do forget(field) end
  local clock = redis.call('TIME')
  local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
  local latest = tonumber(redis.call('GET', TIMESTAMP) or '0')
  latest = math.max(latest, highest(TIMES), highest(TOMBSTONES))
  redis.call('SET', TIMESTAMP, digits(math.max(now, latest + 1)))
end

-- A server that evicts keys to free memory evicts only some keys of a collection.
local record_count = redis.call('HLEN', RECORDS)
if record_count ~= redis.call('ZCARD', TIMES)
    or (redis.call('EXISTS', TIMESTAMP) == 0
      and record_count + redis.call('ZCARD', TOMBSTONES) > 0) then
  rebuild()
end

-- Returns the version of a collection: its timestamp, which every write changes.
local function version()
  return redis.call('GET', TIMESTAMP) or ''
end

-- Returns why the holder of ``token`` must not write now; nil: it can write. Requests have a
-- token once they have locked the collection. ``known`` is the version that the request has read,
-- or '-'. The lock can have expired, as long as no other request has written since.
local function obstacle(token, known, lease)
  -- A write without effect: a server without memory refuses it before anything is changed.
  redis.call('SETRANGE', TIMESTAMP, 0, '')
  local holder = redis.call('GET', LOCK)
  if holder then
    if holder ~= token then return 'busy' end
  elseif token ~= '' and known ~= '-' and known ~= version() then
    return 'lost'
  end
  if token ~= '' then redis.call('SET', LOCK, token, 'PX', lease) end
end

-- Returns whether ``count`` timestamps from ``first`` on are all taken; they are distinct.
local function all_taken(first, count)
  local last = first + count - 1
  return redis.call('ZCOUNT', TIMES, first, last)
    + redis.call('ZCOUNT', TOMBSTONES, first, last) == count
end

-- Returns the first free timestamp from ``first`` on.
local function next_free(first)
  local low, high = 0, 1
  while all_taken(first, high) do low, high = high, high * 2 end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if all_taken(first, middle) then low = middle else high = middle end
  end
  return first + low
end

-- Returns the sums of the collection, nil if they are unknown.
local function known_sums()
  if record_count == 0 then return 0, 0 end
  local time, times, cubes = string.match(redis.call('GET', CHECKSUM) or '', '^(%S+) (%S+) (%S+)$')
  if time == version() then return tonumber(times), tonumber(cubes) end
end

-- Adds a timestamp to the sums, or subtracts it for the sign -1.
local function add_time(times, cubes, time, sign)
  local rest = time % CUBE_MODULUS
  local cube = rest * rest % CUBE_MODULUS * rest % CUBE_MODULUS
  times = (times + sign * (time % TIME_MODULUS)) % TIME_MODULUS
  return times, (cubes + sign * cube) % CUBE_MODULUS
end

-- Returns the value of CHECKSUM for the current timestamp of the collection.
local function formatted_sums(times, cubes)
  return version() .. ' ' .. digits(times) .. ' ' .. digits(cubes)
end

-- Updates the timestamp and the checksum of the collection, and returns the timestamp of a change.
-- ``old`` is the timestamp of the record before the change, if it existed; ``is_kept`` is whether
-- it exists afterwards.
local function advance(now, requested, old, is_kept)
  local times, cubes = known_sums()
  local current = tonumber(redis.call('GET', TIMESTAMP) or '0')
  local later = math.max(now, current + 1)
  if current == 0 then later = math.max(now, (redis.call('GET', EPOCH) or 0) + 1) end
  local timestamp = requested and next_free(requested) or later
  redis.call('SET', TIMESTAMP, digits((requested and timestamp > current) and timestamp or later))
  if not is_kept and redis.call('HLEN', RECORDS) == 0 then
    redis.call('DEL', CHECKSUM)
  elseif times then
    if old then times, cubes = add_time(times, cubes, old, -1) end
    if is_kept then times, cubes = add_time(times, cubes, timestamp, 1) end
    redis.call('SET', CHECKSUM, formatted_sums(times, cubes))
  end
  return timestamp
end

-- Replaces the digests of a record by ``digest_of``; other digests become unknown.
local function index(id, digest_of)
  for _, field in ipairs(redis.call('SMEMBERS', FIELDS)) do
    local old = redis.call('HGET', DIGESTS .. field, id)
    if old then
      redis.call('HDEL', DIGESTS .. field, id)
      redis.call('ZREM', SAME .. field, old .. id)
    end
    redis.call('SREM', UNKNOWN .. field, id)
    if digest_of and digest_of[field] then
      redis.call('HSET', DIGESTS .. field, id, digest_of[field])
      redis.call('ZADD', SAME .. field, 0, digest_of[field] .. id)
    elseif digest_of then
      redis.call('SADD', UNKNOWN .. field, id)
    end
  end
end

-- Deletes a record, and returns the timestamp of the deletion.
local function delete_record(id, now, requested, keep)
  local old = tonumber(redis.call('ZSCORE', TIMES, id))
  redis.call('HDEL', RECORDS, id)
  redis.call('ZREM', TIMES, id)
  index(id, nil)
  local timestamp = advance(now, requested, old, false)
  if keep == '1' then redis.call('ZADD', TOMBSTONES, timestamp, id) end
  return timestamp
end
