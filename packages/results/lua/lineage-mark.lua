--[[
  Notes that a job lives on as its n-th replay. One script, since a process that was paused between its claim and its
  note must not take back the number of a later replay.

  KEYS[1] the job's lineage (hash: replay, version)
  ARGV[1] number of the replay   ARGV[2] until when it is kept, ms since the epoch   ARGV[3] version of the record

  Reply: the latest replay by now; the negative version of a record of a later one, which stays as it is. So do fields
  that a later program adds to this version.
]]
local known = tonumber(redis.call("HGET", KEYS[1], "replay") or "0")
local version = tonumber(redis.call("HGET", KEYS[1], "version") or "1")
if version > tonumber(ARGV[3]) then
  return -version
end
local replay = tonumber(ARGV[1])
if replay < known then
  return known
end
redis.call("HSET", KEYS[1], "replay", replay, "version", ARGV[3])
redis.call("PEXPIREAT", KEYS[1], ARGV[2])
return replay
