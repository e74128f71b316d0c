-- ARGV: a pattern of the keys to delete, and the number of keys to examine per step.
local cursor = '0'
repeat
  local reply = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', ARGV[2])
  cursor = reply[1]
  for _, key in ipairs(reply[2]) do redis.call('UNLINK', key) end
until cursor == '0'
