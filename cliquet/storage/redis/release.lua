-- Releases those locks KEYS whose token is the one at the same position in ARGV.
for position, key in ipairs(KEYS) do
  if redis.call('GET', key) == ARGV[position] then redis.call('DEL', key) end
end
