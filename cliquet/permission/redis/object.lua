-- Returns the permissions on the object ARGV[1], each with the list of its principals.
local reply = {}
for _, permission in ipairs(redis.call('SMEMBERS', permissions_key(ARGV[1]))) do
  table.insert(reply, permission)
  table.insert(reply, redis.call('SMEMBERS', entry_key(ARGV[1], permission)))
end
return reply
