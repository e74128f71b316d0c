-- What the scripts of a collection have in common: they begin with this file.
-- KEYS: timestamp, records, times, tombstones, lock, those of the unique fields, and the timestamp
-- of collections that were never written.
-- The record of an id is its timestamp, a space, and the JSON of its fields. The sorted sets
-- of times and tombstones have the ids of the records, and of the deleted ones, by timestamp.
local TIMESTAMP, RECORDS, TIMES, TOMBSTONES, LOCK = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- The names of the fields that were ever asked to be unique; the beginning of the keys that
-- have, for one of them: digests of values by id, ids in the order of these digests, and the
-- ids of which the digest is not known.
local FIELDS, DIGESTS, SAME, UNKNOWN = KEYS[6], KEYS[7], KEYS[8], KEYS[9]
local EPOCH = KEYS[10]

-- As many values as a call surely takes.
local CHUNK = 1000

-- A whole number as text, to the last digit.
local function digits(number)
  return string.format('%.0f', number)
end

local function time_of(record)
  return tonumber(string.match(record, '^%S+'))
end

-- Adds ids to a set, as many at a time as a call takes.
local function add_all(key, ids)
  for first = 1, #ids, CHUNK do
    redis.call('SADD', key, unpack(ids, first, math.min(first + CHUNK - 1, #ids)))
  end
end

-- Forgets the digests of a field: those of all records have to be found again.
local function forget(field)
  redis.call('DEL', DIGESTS .. field, SAME .. field, UNKNOWN .. field)
  add_all(UNKNOWN .. field, redis.call('HKEYS', RECORDS))
end

-- Whether the keys of a unique field agree with the records: each has one digest, or none yet.
local function is_whole(field)
  local count = redis.call('HLEN', DIGESTS .. field)
  return count == redis.call('ZCARD', SAME .. field)
    and count + redis.call('SCARD', UNKNOWN .. field) == redis.call('HLEN', RECORDS)
end

local function highest(key)
  return tonumber(redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')[2] or '0')
end

-- Makes the keys of a collection from its records. The collection has changed then: clients
-- must not believe what they know of it.
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

-- A server that evicts keys to free memory takes one of those of a collection, not all.
local record_count = redis.call('HLEN', RECORDS)
if record_count ~= redis.call('ZCARD', TIMES)
    or (redis.call('EXISTS', TIMESTAMP) == 0
      and record_count + redis.call('ZCARD', TOMBSTONES) > 0) then
  rebuild()
end

-- The version of a collection is its timestamp: every write makes another one.
local function version()
  return redis.call('GET', TIMESTAMP) or ''
end

-- Why who has ``token`` may not write now; nil: there is nothing against it. A request has
-- one once it locked the collection. ``known`` is the version that it has seen, or '-': the
-- lock may have ended before the request did, what matters is that nobody else wrote.
local function obstacle(token, known, lease)
  -- It changes nothing, and is refused by a server without memory before anything is changed.
  redis.call('SETRANGE', TIMESTAMP, 0, '')
  local holder = redis.call('GET', LOCK)
  if holder then
    if holder ~= token then return 'busy' end
  elseif token ~= '' and known ~= '-' and known ~= version() then
    return 'lost'
  end
  if token ~= '' then redis.call('SET', LOCK, token, 'PX', lease) end
end

-- Whether each of ``count`` timestamps from ``first`` on is taken: no two are the same.
local function all_taken(first, count)
  local last = first + count - 1
  return redis.call('ZCOUNT', TIMES, first, last)
    + redis.call('ZCOUNT', TOMBSTONES, first, last) == count
end

-- The first free timestamp from ``wanted`` on.
local function next_free(wanted)
  local low, high = 0, 1
  while all_taken(wanted, high) do low, high = high, high * 2 end
  while high - low > 1 do
    local middle = math.floor((low + high) / 2)
    if all_taken(wanted, middle) then low = middle else high = middle end
  end
  return wanted + low
end

-- Moves the collection on, and returns the timestamp of a change.
local function advance(now, forced)
  local current = tonumber(redis.call('GET', TIMESTAMP) or '0')
  local later = math.max(now, current + 1)
  if current == 0 then later = math.max(now, (redis.call('GET', EPOCH) or 0) + 1) end
  local own = forced and next_free(forced) or later
  redis.call('SET', TIMESTAMP, digits((forced and own > current) and own or later))
  return own
end

-- Forgets the values of a record, and learns those of which it is given the digest.
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

-- Deletes a record, and returns the timestamp of that.
local function bury(id, now, forced, keep)
  redis.call('HDEL', RECORDS, id)
  redis.call('ZREM', TIMES, id)
  index(id, nil)
  local own = advance(now, forced)
  if keep == '1' then redis.call('ZADD', TOMBSTONES, own, id) end
  return own
end
