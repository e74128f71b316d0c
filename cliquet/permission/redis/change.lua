-- Changes permissions.
-- ARGV: the name of a change and three strings (some unused), repeated for each change.
local change = {}

function change.add(user, principal)
  redis.call('SADD', principals_key(user), principal)
  redis.call('SADD', users_key(principal), user)
end

function change.remove(user, principal)
  redis.call('SREM', principals_key(user), principal)
  redis.call('SREM', users_key(principal), user)
end

function change.remove_from_all(principal)
  for _, user in ipairs(redis.call('SMEMBERS', users_key(principal))) do
    redis.call('SREM', principals_key(user), principal)
  end
  redis.call('DEL', users_key(principal))
end

function change.grant(object, permission, principal)
  redis.call('SADD', permissions_key(object), permission)
  redis.call('SADD', entry_key(object, permission), principal)
  redis.call('ZADD', objects_key(principal, permission), 0, object)
end

function change.withdraw(object, permission, principal)
  redis.call('ZREM', objects_key(principal, permission), object)
  redis.call('SREM', entry_key(object, permission), principal)
  if redis.call('EXISTS', entry_key(object, permission)) == 0 then
    redis.call('SREM', permissions_key(object), permission)
  end
end

function change.withdraw_from_all(object, permission)
  for _, principal in ipairs(redis.call('SMEMBERS', entry_key(object, permission))) do
    change.withdraw(object, permission, principal)
  end
end

function change.delete(object)
  for _, permission in ipairs(redis.call('SMEMBERS', permissions_key(object))) do
    change.withdraw_from_all(object, permission)
  end
end

for position = 1, #ARGV, 4 do
  -- A server without memory refuses additions: then no other change must be made either.
  if ARGV[position] == 'grant' or ARGV[position] == 'add' then
    redis.call('SETRANGE', PREFIX, 0, '')
  end
end
for position = 1, #ARGV, 4 do
  change[ARGV[position]](ARGV[position + 1], ARGV[position + 2], ARGV[position + 3])
end
