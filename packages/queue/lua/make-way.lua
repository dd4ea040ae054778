--[[
  Lets the next fetch through on a full Redis. BullMQ's fetch begins with a command that a full Redis refuses, unless a
  delayed job is due: then it begins by taking that out of the delayed set, and Redis lets a script finish that has begun
  to write. So the lane's last waiting job becomes a delayed one that is due. The fetch puts it back, as the last, and
  takes the first.

  Only up to a bound above `maxmemory`: a job that ends makes room by what it was asked, and takes some by its answer.

  KEYS[1] wait (list)   KEYS[2] prioritized (zset)   KEYS[3] delayed (zset)   KEYS[4] events (stream)
  ARGV[1] share of maxmemory that may be used beyond it   ARGV[2] bytes that may be, whatever the share

  Reply: 'go', the next fetch gets through; 'none', nothing waits; 'full', not now.
]]
-- Nobody needs BullMQ's events to go on, and they may be what fills this Redis.
redis.call("XTRIM", KEYS[4], "MAXLEN", 0)

local id = redis.call("ZREVRANGE", KEYS[2], 0, 0)[1] or redis.call("LINDEX", KEYS[1], 0)
if not id then
  return "none"
end
local memory = redis.call("INFO", "memory")
local used, most = tonumber(memory:match("used_memory:(%d+)")), tonumber(memory:match("maxmemory:(%d+)"))
if used > most + math.max(most * tonumber(ARGV[1]), tonumber(ARGV[2])) then
  return "full"
end
if redis.call("ZREM", KEYS[2], id) == 0 then
  redis.call("LPOP", KEYS[1])
end
redis.call("ZADD", KEYS[3], 1, id)
return "go"
