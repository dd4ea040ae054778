--[[
  One beat of one process. One script, since it has to be one moment: who is alive and since when beats come are
  read together by ledger-begin.lua.

  KEYS[1] owners (zset: owner, by the server time in ms at which its beat expires)
  KEYS[2] server time in ms of the first beat after the last gap. It lives for the longest gap that is none, and every
          beat prolongs it: so it is the gap itself that removes it, whether Redis was down, stopped or merely alone
  ARGV[1] owner   ARGV[2] time to live of a beat, ms   ARGV[3] longest time between two beats of the fleet, ms

  Reply: 1 if this beat is the first after a gap, else 0.
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now)
-- Redis's clock was set back, as by a fail-over to a machine that is behind: who died just before would live for as long.
-- Whoever lives beats again well before it is dead by this.
for _, owner in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. now + 2 * ARGV[2], "+inf")) do
  redis.call("ZADD", KEYS[1], now + ARGV[2], owner)
end
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
local since = tonumber(redis.call("GET", KEYS[2]) or math.huge)
if since <= now and redis.call("PEXPIRE", KEYS[2], ARGV[3]) == 1 then
  return 0
end
redis.call("SET", KEYS[2], now, "PX", ARGV[3])
return 1
