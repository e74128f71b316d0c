-- Returns the objects on which any of some principals has permissions.
-- ARGV: the number of principals, the principals, then pairs of an id prefix and a permission.
-- The reply contains the number of the matching pair before each object.
local count = tonumber(ARGV[1])
local keys_of, reply = {}, {}

-- Returns the keys of the sets of objects on which the principals have the permission.
local function sets_of(permission)
  if not keys_of[permission] then
    keys_of[permission] = {}
    for number = 2, count + 1 do
      local key = objects_key(ARGV[number], permission)
      if redis.call('EXISTS', key) == 1 then table.insert(keys_of[permission], key) end
    end
  end
  return keys_of[permission]
end

for position = count + 2, #ARGV, 2 do
  local prefix = ARGV[position]
  for _, key in ipairs(sets_of(ARGV[position + 1])) do
    -- No string contains a byte 255.
    local objects = redis.call('ZRANGEBYLEX', key, '[' .. prefix, '(' .. prefix .. '\255')
    for _, object in ipairs(objects) do
      table.insert(reply, (position - count - 2) / 2)
      table.insert(reply, object)
    end
  end
end
return reply
