--[[
  Forgets a lane that is empty and that nobody has named for long. One script, since a job that comes between the look and
  the removal would be in a lane that nobody knows.

  KEYS[1] known lanes (zset: queue name by when it was named last)   KEYS[2..] what holds jobs of the lane
  ARGV[1] queue name   ARGV[2] named last before this, ms since the epoch

  Reply: 1 if it is forgotten, else 0.
]]
local named = tonumber(redis.call("ZSCORE", KEYS[1], ARGV[1]) or "inf")
if not named or named > tonumber(ARGV[2]) then
  return 0
end
for place = 2, #KEYS do
  if redis.call("EXISTS", KEYS[place]) == 1 then
    return 0
  end
end
return redis.call("ZREM", KEYS[1], ARGV[1])
