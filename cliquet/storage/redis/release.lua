-- Lets go of those locks KEYS that have the token beside them in ARGV.
for position, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[position] then redis.call('DEL', key) end
end
