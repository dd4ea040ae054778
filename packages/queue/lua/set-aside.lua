--[[
  Ends a job that was fetched and cannot be read: moves it to the failed set, from where the mover takes it. One script,
  since the job must be ours (its lock says so) and must not be fetched by the stall check in between.

  KEYS[1] active (list)    KEYS[2] failed (zset)      KEYS[3] stalled (set)   KEYS[4] events (stream)
  KEYS[5] deadlines (zset) KEYS[6] the job's hash     KEYS[7] its lock
  ARGV[1] job id           ARGV[2] token of the lock  ARGV[3] now, ms         ARGV[4] failed reason, text
  ARGV[5..] fields of the hash and their values: what makes it readable, and the failure

  Reply: 1 ended; 0 left alone (it is not ours any more).
]]
local id, reason = ARGV[1], ARGV[4]
if redis.call("GET", KEYS[7]) ~= ARGV[2] or redis.call("LREM", KEYS[1], -1, id) == 0 then
  return 0
end
redis.call("DEL", KEYS[7])
redis.call("SREM", KEYS[3], id)
redis.call("ZREM", KEYS[5], id)
-- Whatever stands where a hash should.
if redis.call("TYPE", KEYS[6]).ok ~= "hash" then
  redis.call("DEL", KEYS[6])
end
redis.call("HSET", KEYS[6], "failedReason", reason, "finishedOn", ARGV[3], unpack(ARGV, 5))
redis.call("ZADD", KEYS[2], ARGV[3], id)
redis.call("XADD", KEYS[4], "*", "event", "failed", "jobId", id, "failedReason", reason, "prev", "active")
return 1
