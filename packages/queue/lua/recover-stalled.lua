--[[
  Gives jobs of vanished workers back to their lane on a full Redis. It does what BullMQ's own check does, which a full
  Redis refuses: without it the jobs in hand of a fleet that was killed could be what fills Redis, for good. It shares
  BullMQ's marks and pace, so that either may have made the last look.

  KEYS[1] ids that the last look marked (set)   KEYS[2] active (list)   KEYS[3] wait (list)
  KEYS[4] the pace: there until the next look   KEYS[5] marker (zset)
  ARGV[1] what precedes a job id in its key     ARGV[2] ms between looks

  Reply: how many were given back.
]]
if not redis.call("SET", KEYS[4], "1", "PX", ARGV[2], "NX") then
  return 0
end
local found = 0
for _, id in ipairs(redis.call("SMEMBERS", KEYS[1])) do
  local hash = ARGV[1] .. id
  if redis.call("EXISTS", hash .. ":lock") == 0 and redis.call("LREM", KEYS[2], 1, id) > 0 then
    pcall(redis.call, "HINCRBY", hash, "stc", 1)
    redis.call("RPUSH", KEYS[3], id)
    found = found + 1
  end
end
redis.call("DEL", KEYS[1])
for _, id in ipairs(redis.call("LRANGE", KEYS[2], 0, -1)) do
  redis.call("SADD", KEYS[1], id)
end
if found > 0 then
  redis.call("ZADD", KEYS[5], 0, "0")
end
return found
