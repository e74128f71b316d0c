-- Returns the number of records; the sums of their checksum as they are stored, and as computed.
local times, cubes = 0, 0
for _, record in ipairs(redis.call('HVALS', RECORDS)) do
  times, cubes = add_time(times, cubes, time_of(record), 1)
end
local stored_times, stored_cubes = known_sums()
return {redis.call('HLEN', RECORDS), stored_times or times, stored_cubes or cubes, times, cubes}
