--[[
  Stores how a job ended, unless that is stored, and closes the owner's entry in the call ledger. One script, since
  between the two steps another worker would find a job that has ended with a call in flight, or one that has not
  ended and that nobody calls; and since whoever asked for the job to be cancelled before this moment was told that it
  will be.

  KEYS[1] the outcome   KEYS[2] the job's entry in the ledger   KEYS[3] the flag of its cancellation: see cancel.lua
  ARGV[1] outcome, JSON   ARGV[2] its time to live, ms   ARGV[3] owner
  ARGV[4] what is stored in its place when the job was cancelled, JSON; '' for an outcome that no cancelling changes

  Reply: 1 if this was the first end of the job, else 0: it ended before, or ends as cancelled. The entry goes as a
  whole: from now on the outcome answers every question that is asked of it.
]]
local cancelled = ARGV[4] ~= "" and redis.call("EXISTS", KEYS[3]) == 1
local first = redis.call("SET", KEYS[1], cancelled and ARGV[4] or ARGV[1], "PX", ARGV[2], "NX")
local owner = redis.call("HGET", KEYS[2], "owner")
if not owner or owner == ARGV[3] then
  redis.call("DEL", KEYS[2])
end
return (first and not cancelled) and 1 or 0
