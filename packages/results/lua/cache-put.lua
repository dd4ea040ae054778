--[[
  Keeps an answer and ends its leader's lease, or, without an answer, only ends the lease. One script, since the lease
  may have passed on, and a new leader's is not ours to end.

  KEYS[1] the answer, KEYS[2] the leader: see cache-lead.lua
  ARGV[1] id of the job   ARGV[2] answer, '' for none   ARGV[3] time to live of the answer, ms

  Reply: 1
]]
if ARGV[2] ~= "" then
  redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
end
if redis.call("GET", KEYS[2]) == ARGV[1] then
  redis.call("DEL", KEYS[2])
end
return 1
