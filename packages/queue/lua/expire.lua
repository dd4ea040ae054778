--[[
  Ends a job whose deadline passed while it waited: moves it to the failed set, from where the mover takes it.
  One script, since between finding the job in a set and moving it a worker may have started it.

  KEYS[1] wait (list)          KEYS[2] prioritized (zset)   KEYS[3] delayed (zset)
  KEYS[4] failed (zset)        KEYS[5] events (stream)      KEYS[6] deadlines (zset)
  KEYS[7] the job's hash       KEYS[8] active (list)

  ARGV[1] job id               ARGV[2] now, ms              ARGV[3] failed reason, text
  ARGV[4] failure field name   ARGV[5] failure, JSON

  Reply: 1 ended; 0 left alone (it is active, or has ended already).
]]
local id, now = ARGV[1], ARGV[2]

local type = redis.call("TYPE", KEYS[7]).ok
if type == "none" then
  redis.call("ZREM", KEYS[6], id)
  return 0
end

local waiting = redis.call("ZREM", KEYS[2], id) == 1
  or redis.call("ZREM", KEYS[3], id) == 1
  or redis.call("LREM", KEYS[1], 1, id) == 1
if not waiting then
  -- A finished job only left its entry behind.
  if type == "hash" and redis.call("HEXISTS", KEYS[7], "finishedOn") == 1 then
    redis.call("ZREM", KEYS[6], id)
    return 0
  end
  -- An active one ends itself at its deadline. One that is in no list and no set will not: nobody has it.
  if redis.call("LPOS", KEYS[8], id) or redis.call("ZSCORE", KEYS[4], id) then
    return 0
  end
end

-- Whatever stands where a hash should.
if type ~= "hash" then
  redis.call("DEL", KEYS[7])
  redis.call("HSET", KEYS[7], "data", "null")
end
redis.call("HSET", KEYS[7], "failedReason", ARGV[3], "finishedOn", now, ARGV[4], ARGV[5])
redis.call("ZADD", KEYS[4], now, id)
redis.call("ZREM", KEYS[6], id)
redis.call("XADD", KEYS[5], "*", "event", "failed", "jobId", id, "failedReason", ARGV[3], "prev", "waiting")
return 1
