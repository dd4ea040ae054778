--[[
  A call is over, or was never sent. One script, since the entry may have been taken over by another owner, whose call
  must stay in flight.

  KEYS[1] the job's entry: see ledger-begin.lua
  ARGV[1] owner   ARGV[2] change of the count: 0, or -1 to give the call back

  Reply: 1 if the call in flight was this owner's, else 0 and nothing changed. The time to live stays.
]]
if redis.call("HGET", KEYS[1], "owner") ~= ARGV[1] then
  return 0
end
redis.call("HDEL", KEYS[1], "owner", "run", "lease")
redis.call("HINCRBY", KEYS[1], "calls", ARGV[2])
return 1
