--[[
  Who answers this request? One script, since of equal requests that come at once exactly one may call.

  KEYS[1] the answer   KEYS[2] the leader: id of the job that calls, for as long as its lease
  ARGV[1] id of the asking job   ARGV[2] lease, ms   ARGV[3] id of a job that has ended without an answer to give, '' for
  none: if it still leads, it does no more

  Reply: { 'hit', answer } | { 'leader' } (also for the leader itself, whose lease begins anew) |
         { 'follow', leader, ms until its lease ends }
]]
local answer = redis.call("GET", KEYS[1])
if answer then
  return { "hit", answer }
end
local leader = redis.call("GET", KEYS[2])
if leader and leader ~= ARGV[1] and leader ~= ARGV[3] then
  return { "follow", leader, redis.call("PTTL", KEYS[2]) }
end
redis.call("SET", KEYS[2], ARGV[1], "PX", ARGV[2])
return { "leader" }
