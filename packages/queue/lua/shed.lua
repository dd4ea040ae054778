--[[
  Drops completed jobs that need not be kept: those that are older than they may get, and those that still hold a long
  request (a version before this one completed them). How they ended is in their outcomes. BullMQ drops old ones only
  when another job of the lane completes.

  KEYS[1] completed (zset)
  ARGV[1] what precedes a job id in its key   ARGV[2] completed before this they go, ms since the epoch
  ARGV[3] longest data that is kept, bytes    ARGV[4] jobs looked at, at most

  Reply: how many were dropped.
]]
local prefix, before, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local dropped = 0
local jobs = redis.call("ZRANGE", KEYS[1], 0, ARGV[4] - 1, "WITHSCORES")
for i = 1, #jobs, 2 do
  local hash = prefix .. jobs[i]
  local readable, length = pcall(redis.call, "HSTRLEN", hash, "data")
  if tonumber(jobs[i + 1]) < before or not readable or length > longest then
    redis.call("ZREM", KEYS[1], jobs[i])
    redis.call("UNLINK", hash, hash .. ":logs")
    dropped = dropped + 1
  end
end
return dropped
