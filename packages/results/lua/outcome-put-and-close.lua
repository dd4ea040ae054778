--[[
  Stores how a job ended, unless that is stored, and closes the owner's entry in the call ledger. One script, since
  between the two steps another worker would find a job that has ended with a call in flight, or one that has not
  ended and that nobody calls.

  KEYS[1] the outcome   KEYS[2] the job's entry in the ledger
  ARGV[1] outcome, JSON   ARGV[2] its time to live, ms   ARGV[3] owner

  Reply: 1 if this was the first end of the job, else 0. The entry goes as a whole: from now on the outcome answers
  every question that is asked of it.
]]
local first = redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2], "NX")
local owner = redis.call("HGET", KEYS[2], "owner")
if not owner or owner == ARGV[3] then
  redis.call("DEL", KEYS[2])
end
return first and 1 or 0
