--[[
  Notes that a job lives on as its n-th replay. One script, since a process that was paused between its claim and its
  note must not take back the number of a later replay.

  KEYS[1] the job's lineage (hash: replay)
  ARGV[1] number of the replay   ARGV[2] until when it is kept, ms since the epoch

  Reply: the latest replay by now. Fields that a later version adds stay as they are.
]]
local known = tonumber(redis.call("HGET", KEYS[1], "replay") or "0")
local replay = tonumber(ARGV[1])
if replay < known then
  return known
end
redis.call("HSET", KEYS[1], "replay", replay)
redis.call("PEXPIREAT", KEYS[1], ARGV[2])
return replay
