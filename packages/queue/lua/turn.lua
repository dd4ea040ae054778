--[[
  Makes the oldest waiting job of a priority the next to be fetched: moves it to the wait list, from whose end BullMQ
  fetches before it looks at the prioritized set. One script, since a worker may fetch the job between a look and a
  move. A caller that dies after it has changed nothing but the order of two jobs.

  KEYS[1] prioritized (zset)   KEYS[2] wait (list)
  ARGV    priorities, the first that has a waiting job is meant

  Reply: 1 moved; 0 left alone (nobody waits, or one of the wait list is next anyway).
]]
-- BullMQ's scores: the priority times this, plus a counter that grows with every job.
local PRIORITY = 0x100000000

if redis.call("EXISTS", KEYS[2]) == 1 then
  return 0
end
for _, priority in ipairs(ARGV) do
  local from = tonumber(priority) * PRIORITY
  local range = { string.format("%.0f", from), string.format("(%.0f", from + PRIORITY) }
  local id = redis.call("ZRANGEBYSCORE", KEYS[1], range[1], range[2], "LIMIT", 0, 1)[1]
  if id then
    redis.call("ZREM", KEYS[1], id)
    redis.call("RPUSH", KEYS[2], id)
    return 1
  end
end
return 0
