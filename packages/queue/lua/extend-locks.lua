--[[
  Keeps the locks of jobs in hand. In place of BullMQ's own, which sets each lock anew: a full Redis refuses that, and
  every job in hand would lose its lock. A new time to live takes no memory.

  KEYS[1] ids marked by the stall check (set)   KEYS[2..] the locks
  ARGV[1] lock time, ms   ARGV[2..] per lock: job id, token

  Reply: ids whose lock is not ours any more.
]]
local lost = {}
for i = 2, #KEYS do
  local id, token = ARGV[2 * i - 2], ARGV[2 * i - 1]
  if redis.call("GET", KEYS[i]) == token then
    redis.call("PEXPIRE", KEYS[i], ARGV[1])
    redis.call("SREM", KEYS[1], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
