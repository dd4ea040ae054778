--[[
  Tells the time that all programs of an installation share: Redis's, less what its clock was set by while they ran. One
  script, since all programs that see a step at once must end with the same time: the first to say so decides.

  A step is what nobody's monotonic clock has seen. It is taken out, and made up for slowly: what waits then keeps the time it
  was given. A program whose own machine slept sees the same as after a step forward; but others have looked meanwhile.

  KEYS[1] the clock (hash: off: what is added to Redis's time, ms; at: Redis's time when that was set; seen: the last look)
  ARGV[1] what the caller takes the shared time for, ms, '' when it does not know
  ARGV[2] Redis's time at the look that saw a step, ms: it may be taken out now. '' at first. A question that was long on its
          way, as to a Redis that was stopped, would take its delay for a step
  ARGV[3] how far a step is at least, ms   ARGV[4] how much of it is made up for per ms
  ARGV[5] how long after the look that saw it, ms
  ARGV[6] longest time between two looks of a program, ms. Nobody has looked for as long as a step, less this
  ARGV[7] what the caller knows of `at`: when it is another, somebody has decided since, and that holds
  ARGV[8] how long the caller has known the time, ms. One that has just started may have it from after the step: its look
          is no proof that there was none
  ARGV[9] the time a test gives, '' for the server's

  Reply: { Redis's time in ms, off, at, verdict }, numbers as strings, the verdict one of
    'known'    the caller's time is right, was not asked for, or is not what was decided
    'stepped'  it is not, since Redis's clock was set; nobody has taken that out yet
    'slept'    it is not, since the caller's machine slept
  A Redis that takes no writes tells the time all the same, and keeps nothing.
]]
local now
if ARGV[9] ~= "" then
  now = tonumber(ARGV[9])
else
  local time = redis.call("TIME")
  now = time[1] * 1000 + time[2] / 1000
end
local known = redis.call("HMGET", KEYS[1], "off", "at", "seen")
local off, at, seen = tonumber(known[1] or 0), tonumber(known[2] or 0), tonumber(known[3])
local made = math.max(0, now - at) * tonumber(ARGV[4])
off = off > 0 and math.max(0, off - made) or math.min(0, off + made)

local function put(...)
  local reply = redis.pcall("HSET", KEYS[1], ...)
  return type(reply) ~= "table" or reply.err == nil
end
local function exact(number)
  return string.format("%.3f", number)
end
local function reply(verdict)
  return { exact(now), exact(off), exact(at), verdict }
end

if ARGV[1] == "" then
  return reply("known")
end
local isDecided = at > 0 and exact(at) ~= exact(tonumber(ARGV[7]))
local step = now + off - tonumber(ARGV[1])
if isDecided or math.abs(step) <= tonumber(ARGV[3]) then
  if tonumber(ARGV[8]) >= tonumber(ARGV[6]) then put("seen", exact(now)) end
  return reply("known")
end
if step > 0 and seen and now - seen < step - tonumber(ARGV[6]) then
  return reply("slept")
end
local sinceLook = ARGV[2] ~= "" and now - tonumber(ARGV[2]) or -1
if sinceLook < 0 or sinceLook > tonumber(ARGV[5]) or not put("off", exact(off - step), "at", exact(now), "seen", exact(now)) then
  return reply("stepped")
end
off, at = off - step, now
return reply("known")
