--[[
  Takes a job that has not started out of its lane. One script, since between finding the job in a set and removing it
  a worker may have started it.

  KEYS[1] wait (list)      KEYS[2] prioritized (zset)   KEYS[3] delayed (zset)
  KEYS[4] events (stream)  KEYS[5] deadlines (zset)     KEYS[6] the job's hash   KEYS[7] its logs
  ARGV[1] job id

  Reply: 1 withdrawn; 0 left alone (it is active, or has ended).
]]
local id = ARGV[1]
local waiting = redis.call("ZREM", KEYS[2], id) == 1
  or redis.call("ZREM", KEYS[3], id) == 1
  or redis.call("LREM", KEYS[1], 1, id) == 1
if not waiting then
  return 0
end
redis.call("DEL", KEYS[6], KEYS[7])
redis.call("ZREM", KEYS[5], id)
redis.call("XADD", KEYS[4], "*", "event", "removed", "jobId", id, "prev", "waiting")
return 1
