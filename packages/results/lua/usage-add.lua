--[[
  Adds a call to the sums of its class. One script, since a caller names the classes, and their number has a bound: a
  class that comes when there are as many as may be is counted with the others that did.

  KEYS[1] sums (hash: <class>:<sum>)   KEYS[2] longest answers (zset, by class)
  ARGV[1] class   ARGV[2] the class of all others   ARGV[3] most fields of the hash   ARGV[4] time to live, s
  ARGV[5] tokens of the answer   ARGV[6..] sums to add to, each with its amount

  Reply: the class it was counted with.
]]
local class = ARGV[1]
local isNew = redis.call("HEXISTS", KEYS[1], class .. ":" .. ARGV[6]) == 0
local fields = isNew and redis.call("HLEN", KEYS[1]) or 0
if fields > 2 * tonumber(ARGV[3]) then
  -- Written by a version that knew no bound. They would not expire while the pool is used.
  redis.call("UNLINK", KEYS[1], KEYS[2])
elseif fields >= tonumber(ARGV[3]) then
  class = ARGV[2]
end
for i = 6, #ARGV, 2 do
  redis.call("HINCRBY", KEYS[1], class .. ":" .. ARGV[i], ARGV[i + 1])
end
redis.call("ZADD", KEYS[2], "GT", ARGV[5], class)
redis.call("EXPIRE", KEYS[1], ARGV[4])
redis.call("EXPIRE", KEYS[2], ARGV[4])
return class
