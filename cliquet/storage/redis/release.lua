-- Lets go of the locks KEYS that have the token ARGV[1].
for _, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
