-- Returns whether any of some principals has any of some permissions.
-- ARGV: the number of principals, the principals, then pairs of object and permission.
local count = tonumber(ARGV[1])
for position = count + 2, #ARGV, 2 do
  local entry = entry_key(ARGV[position], ARGV[position + 1])
  -- Most entries are empty or have few principals.
  if redis.call('EXISTS', entry) == 1 then
    for number = 2, count + 1 do
      if redis.call('SISMEMBER', entry, ARGV[number]) == 1 then return 1 end
    end
  end
end
return 0
