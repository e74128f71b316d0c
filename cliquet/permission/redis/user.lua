-- Returns the principals of the user ARGV[1].
return redis.call('SMEMBERS', principals_key(ARGV[1]))
