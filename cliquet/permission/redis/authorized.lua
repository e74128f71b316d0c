-- Returns the principals that have any of some permissions. ARGV: pairs of object and permission.
local reply = {}
for position = 1, #ARGV, 2 do
  local entry = entry_key(ARGV[position], ARGV[position + 1])
  for _, principal in ipairs(redis.call('SMEMBERS', entry)) do
    table.insert(reply, principal)
  end
end
return reply
