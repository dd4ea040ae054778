--[[
  Ends a job whose deadline passed while it waited: moves it to the failed set, from where the mover takes it.
  One script, since between finding the job in a set and moving it a worker may have started it.

  KEYS[1] wait (list)          KEYS[2] prioritized (zset)   KEYS[3] delayed (zset)
  KEYS[4] failed (zset)        KEYS[5] events (stream)      KEYS[6] deadlines (zset)
  KEYS[7] the job's hash

  ARGV[1] job id               ARGV[2] now, ms              ARGV[3] failed reason, text
  ARGV[4] failure field name   ARGV[5] failure, JSON

  Reply: 1 ended; 0 left alone (it is active, or has ended already).
]]
local id, now = ARGV[1], ARGV[2]

if redis.call("EXISTS", KEYS[7]) == 0 then
  redis.call("ZREM", KEYS[6], id)
  return 0
end

local waiting = redis.call("ZREM", KEYS[2], id) == 1
  or redis.call("ZREM", KEYS[3], id) == 1
  or redis.call("LREM", KEYS[1], 1, id) == 1
if not waiting then
  -- An active job ends itself at its deadline. A finished one only left its entry behind.
  if redis.call("HEXISTS", KEYS[7], "finishedOn") == 1 then
    redis.call("ZREM", KEYS[6], id)
  end
  return 0
end

redis.call("HSET", KEYS[7], "failedReason", ARGV[3], "finishedOn", now, ARGV[4], ARGV[5])
redis.call("ZADD", KEYS[4], now, id)
redis.call("ZREM", KEYS[6], id)
redis.call("XADD", KEYS[5], "*", "event", "failed", "jobId", id, "failedReason", ARGV[3], "prev", "waiting")
return 1
