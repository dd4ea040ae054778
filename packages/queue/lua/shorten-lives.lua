--[[
  Cuts the lives that a clock which was set back has prolonged: of the locks of a lane's active jobs, and of the pause
  between two looks for stalled jobs. One script, since a lock may be renewed between a look and a cut.

  KEYS[1] active (list)   KEYS[2] the pace of stall checks: there until the next look
  ARGV[1] what precedes a job id in its key   ARGV[2] longest life of a lock, ms   ARGV[3] ms between looks
  ARGV[4] a life is cut when it is this many times as long

  Reply: how many were cut.
]]
local factor = tonumber(ARGV[4])
local cut = 0
local function shorten(key, most)
  if redis.call("PTTL", key) > most * factor then
    redis.call("PEXPIRE", key, most)
    cut = cut + 1
  end
end
shorten(KEYS[2], tonumber(ARGV[3]))
for _, id in ipairs(redis.call("LRANGE", KEYS[1], 0, -1)) do
  shorten(ARGV[1] .. id .. ":lock", tonumber(ARGV[2]))
end
return cut
