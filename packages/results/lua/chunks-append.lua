--[[
  Adds text, or the end, to a job's events, or takes back what the call has written. One script, since an event must come once however often its command was
  sent, only from the writer of the present call, and only while there is room.

  KEYS[1] the events, KEYS[2] the writer: see chunks-start.lua
  ARGV[1] writer   ARGV[2] number of this event, from 1   ARGV[3] type: text, restarted, or the terminal one
  ARGV[4] text; of restarted, the number of the call
  ARGV[5] most bytes of text   ARGV[6] most events   ARGV[7] time to live, ms

  Reply: 'ok', 'full' (the text was left out, as is all text after it) or 'refused' (not the writer any more).
  Events are never trimmed for room: a reader would miss the beginning and not know. An end always fits, and
  `completed` becomes `incomplete` when text was left out.
]]
local writer, seq, kind, text = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local known = redis.call("HMGET", KEYS[2], "writer", "seq", "bytes", "full", "ended")
if known[1] ~= writer then
  return "refused"
end
if seq <= tonumber(known[2]) then
  return "ok"
end
if known[5] then
  return "refused"
end

redis.call("HSET", KEYS[2], "seq", seq)
local full = known[4]
if kind == "text" then
  local bytes = known[3] + #text
  full = full or bytes > tonumber(ARGV[5]) or redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[6])
  if full then
    redis.call("HSET", KEYS[2], "full", 1)
  else
    redis.call("XADD", KEYS[1], "*", "type", "text", "text", text)
    redis.call("HSET", KEYS[2], "bytes", bytes)
  end
elseif kind == "restarted" then
  -- As at the start of a call: whoever reads from the beginning finds this first.
  local id = redis.call("XADD", KEYS[1], "*", "type", kind, "call", text)
  redis.call("XTRIM", KEYS[1], "MINID", id)
  redis.call("HSET", KEYS[2], "bytes", 0)
  redis.call("HDEL", KEYS[2], "full")
else
  redis.call("XADD", KEYS[1], "*", "type", (full and kind == "completed") and "incomplete" or kind)
  redis.call("HSET", KEYS[2], "ended", 1)
end
redis.call("PEXPIRE", KEYS[1], ARGV[7])
redis.call("PEXPIRE", KEYS[2], ARGV[7])
return (full and kind == "text") and "full" or "ok"
