-- ARGV: a pattern of the keys to delete, the beginning of those to keep ('': none), and how
-- many to look at in a step.
local cursor = '0'
repeat
  local reply = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', ARGV[3])
  cursor = reply[1]
  for _, key in ipairs(reply[2]) do
    if ARGV[2] == '' or string.sub(key, 1, #ARGV[2]) ~= ARGV[2] then
      redis.call('UNLINK', key)
    end
  end
until cursor == '0'
