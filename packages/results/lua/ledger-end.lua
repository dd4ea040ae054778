--[[
  A call is over, or was never sent. One script, since the entry may have been taken over by another owner, whose call
  must stay in flight.

  KEYS[1] the job's entry: see ledger-begin.lua
  ARGV[1] owner   ARGV[2] change of the count: 0, or -1 to give the call back
  ARGV[3] 1 if the owner has settled what its call held, else 0: it knows of no such call, and the next one settles it
  ARGV[4] run that is over, '' for whichever is in flight: the owner may have begun another since

  Reply: 1 if the call in flight was this owner's, else 0 and nothing changed. The time to live stays.
]]
if redis.call("HGET", KEYS[1], "owner") ~= ARGV[1] then
  return 0
end
local run = redis.call("HGET", KEYS[1], "run")
if ARGV[4] ~= "" and run ~= ARGV[4] then
  return 0
end
local fields = ARGV[3] == "1" and redis.call("HGETALL", KEYS[1]) or {}
for i = 1, #fields, 2 do
  local isHeld = string.sub(fields[i], 1, 5) == "held:"
  if isHeld and string.sub(fields[i + 1], 1, #run + 1) == run .. " " then
    redis.call("HDEL", KEYS[1], fields[i])
  end
end
redis.call("HDEL", KEYS[1], "owner", "run", "lease", "begun")
redis.call("HINCRBY", KEYS[1], "calls", ARGV[2])
return 1
