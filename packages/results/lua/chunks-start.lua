--[[
  A call begins to write a job's text. One script, since the writer before it (of a worker that was taken for dead, or
  whose command comes late) must not write another word after the text was dropped.

  KEYS[1] the events (stream)   KEYS[2] the writer (hash: writer, call, seq, bytes; full once capped; ended at the end)
  ARGV[1] writer, new for every call   ARGV[2] number of the call   ARGV[3] time to live, ms

  Reply: 1 if the writer may write (also when it is told for the second time), 0 if the job's text has ended or a later
  call writes it. What an earlier call wrote is deleted: whoever reads from the beginning finds `restarted` first.
]]
local writer, call, ttl = ARGV[1], ARGV[2], ARGV[3]
local known = redis.call("HMGET", KEYS[2], "writer", "call", "ended")
if known[1] == writer then
  return 1
end
if known[3] or (known[2] and tonumber(call) < tonumber(known[2])) then
  return 0
end
local id = redis.call("XADD", KEYS[1], "*", "type", known[1] and "restarted" or "started", "call", call)
redis.call("XTRIM", KEYS[1], "MINID", id)
redis.call("DEL", KEYS[2])
redis.call("HSET", KEYS[2], "writer", writer, "call", call, "seq", 0, "bytes", 0)
redis.call("PEXPIRE", KEYS[1], ttl)
redis.call("PEXPIRE", KEYS[2], ttl)
return 1
