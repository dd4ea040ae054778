--[[
  Puts jobs back at the head of their lane that have not ended and are in no list and no set: nothing would ever run
  them. A promotion that broke off has left them so. Looks at a page of the jobs with a deadline, which are all that have
  not ended. One script, since a job that moves between two looks would seem to be in neither place.

  KEYS[1] wait (list)       KEYS[2] prioritized (zset)   KEYS[3] delayed (zset)   KEYS[4] active (list)
  KEYS[5] failed (zset)     KEYS[6] completed (zset)     KEYS[7] deadlines (zset) KEYS[8] marker (zset)
  ARGV[1] what precedes a job id in its key   ARGV[2] first place of the page   ARGV[3] its length

  Reply: { how many were looked at, how many were put back }.
]]
local listed = {}
for _, list in ipairs({ KEYS[1], KEYS[4] }) do
  for _, id in ipairs(redis.call("LRANGE", list, 0, -1)) do
    listed[id] = true
  end
end
local ids = redis.call("ZRANGE", KEYS[7], ARGV[2], ARGV[2] + ARGV[3] - 1)
local found = 0
for _, id in ipairs(ids) do
  local placed = listed[id]
  for set = 2, 6 do
    placed = placed or (set ~= 4 and redis.call("ZSCORE", KEYS[set], id))
  end
  local hash = ARGV[1] .. id
  if not placed and redis.call("TYPE", hash).ok == "hash" and redis.call("HEXISTS", hash, "finishedOn") == 0 then
    redis.call("HSET", hash, "delay", 0)
    redis.call("RPUSH", KEYS[1], id)
    found = found + 1
  end
end
if found > 0 then
  redis.call("ZADD", KEYS[8], 0, "0")
end
return { #ids, found }
