--[[
  Removes a failed job after its dead letter was stored, only if it is the very death that was stored: somebody may
  have retried it in between, and it may even have failed again.

  KEYS[1] failed (zset)   KEYS[2] the job's hash   KEYS[3] its logs   KEYS[4] its lock
  ARGV[1] job id          ARGV[2] the failed score that was read

  Reply: 1 dropped; 0 left alone.
]]
local score = redis.call("ZSCORE", KEYS[1], ARGV[1])
if not score or tonumber(score) ~= tonumber(ARGV[2]) then
  return 0
end
redis.call("ZREM", KEYS[1], ARGV[1])
redis.call("DEL", KEYS[2], KEYS[3], KEYS[4])
return 1
