--[[
  Leaves a mark of this installation, and finds the one that is there: proof that Redis takes writes, and a way to
  notice that it has lost its data, or that another server answers now. One script, since of several programs that find
  no mark all must end with the same one.

  KEYS[1] the mark (hash: id; run: the server's run id; changedAt: when that was last found to be another;
          seenAt: the last look; seenBefore: the last look of what there was before the change)
  ARGV[1] id of the mark if there is none yet   ARGV[2] run id of the server, '' when it tells none

  Reply: { id, 1 if the mark was made now else 0, changedAt in ms or 0, 1 if that was found now else 0, seenBefore in ms or 0 }.
  The mark has no time to live: one that is gone means that Redis has lost data.
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("HMGET", KEYS[1], "id", "run", "changedAt", "seenAt", "seenBefore")
local id, changedAt = known[1], tonumber(known[3] or 0)
local made, changed = 0, 0
local seenBefore = tonumber(known[5] or 0)
if not id then
  id, made = ARGV[1], 1
  redis.call("HSET", KEYS[1], "id", id)
end
if ARGV[2] ~= "" and known[2] ~= ARGV[2] then
  redis.call("HSET", KEYS[1], "run", ARGV[2])
  if known[2] then
    changedAt, changed, seenBefore = now, 1, tonumber(known[4] or now)
    redis.call("HSET", KEYS[1], "changedAt", now, "seenBefore", seenBefore)
  end
end
redis.call("HSET", KEYS[1], "seenAt", now)
return { id, made, changedAt, changed, seenBefore }
