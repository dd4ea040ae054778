--[[
  Keeps the locks of jobs in hand. In place of BullMQ's own, which sets each lock anew: a full Redis refuses that, and
  every job in hand would lose its lock. A new time to live takes no memory.

  A lock that ran out while its worker lives, since that was paused or Redis's clock was set forward, is taken again if the
  job is still in hand: then nobody else has been given it.

  KEYS[1] ids marked by the stall check (set)   KEYS[2] active (list)   KEYS[3..] the locks
  ARGV[1] lock time, ms   ARGV[2..] per lock: job id, token

  Reply: ids whose lock is not ours any more.
]]
local lost = {}
for i = 3, #KEYS do
  local id, token = ARGV[2 * i - 4], ARGV[2 * i - 3]
  local holder = redis.call("GET", KEYS[i])
  if holder == token then
    redis.call("PEXPIRE", KEYS[i], ARGV[1])
    redis.call("SREM", KEYS[1], id)
  elseif not holder and redis.call("LPOS", KEYS[2], id) then
    redis.call("SET", KEYS[i], token, "PX", ARGV[1])
    redis.call("SREM", KEYS[1], id)
  else
    lost[#lost + 1] = id
  end
end
return lost
