-- Deletes all collections, and sets the timestamp of those that were never written.
-- KEYS: that timestamp.
-- ARGV: a pattern of the keys to delete, the prefix of those to keep, the number of keys to
-- examine per step; the prefix of the keys of the collections' timestamps, the minimum new
-- timestamp, and one in the far future: timestamps from there on are ignored.
local far, latest = tonumber(ARGV[6]), 0

local function consider(key)
  local time = tonumber(redis.call('GET', key) or '0')
  if time < far then latest = math.max(latest, time) end
end

consider(KEYS[1])
local cursor = '0'
repeat
  local reply = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', ARGV[3])
  cursor = reply[1]
  for _, key in ipairs(reply[2]) do
    if string.sub(key, 1, #ARGV[4]) == ARGV[4] then consider(key) end
    if string.sub(key, 1, #ARGV[2]) ~= ARGV[2] then redis.call('UNLINK', key) end
  end
until cursor == '0'
redis.call('SET', KEYS[1], string.format('%.0f', math.max(tonumber(ARGV[5]), latest + 1)))
