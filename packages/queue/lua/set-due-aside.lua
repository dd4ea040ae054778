--[[
  Ends delayed jobs that are due, or soon will be, and whose key holds no hash: moves each to the failed set, from where
  the mover takes it. BullMQ promotes what is due as a batch: it takes all of it out of the delayed set and then reads one
  hash after the other, so that one key of another type would leave those behind it in no set at all.

  KEYS[1] delayed (zset)   KEYS[2] failed (zset)   KEYS[3] events (stream)   KEYS[4] deadlines (zset)
  ARGV[1] what precedes a job id in its key   ARGV[2] ms from now until which a job is due soon
  ARGV[3] jobs looked at, at most             ARGV[4] failed reason, text
  ARGV[5..] fields of the hash that takes the key's place, and their values

  Reply: the ids of those that ended.
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local bad = {}
-- BullMQ's scores: the time times 4096, plus a sequence.
local latest = string.format("%.0f", (now + ARGV[2] + 1) * 4096)
for _, id in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", latest, "LIMIT", 0, ARGV[3])) do
  local hash = ARGV[1] .. id
  local type = redis.call("TYPE", hash).ok
  if type ~= "hash" and type ~= "none" then
    redis.call("DEL", hash)
    redis.call("HSET", hash, "failedReason", ARGV[4], "finishedOn", now, unpack(ARGV, 5))
    redis.call("ZREM", KEYS[1], id)
    redis.call("ZREM", KEYS[4], id)
    redis.call("ZADD", KEYS[2], now, id)
    redis.call("XADD", KEYS[3], "*", "event", "failed", "jobId", id, "failedReason", ARGV[4], "prev", "delayed")
    bad[#bad + 1] = id
  end
end
return bad
