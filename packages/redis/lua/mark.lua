--[[
  Leaves a mark of this installation, and finds the one that is there: proof that Redis takes writes, and a way to
  notice that it has lost its data, or that another server answers now. One script, since of several programs that find
  no mark all must end with the same one.

  KEYS[1] the mark (hash: id; run: the server's run id; changedAt: when that was last found to be another;
          seenAt: the last look; seenBefore: the last look of what there was before the change;
          changes: the last changes, the oldest first, each with its changedAt and its seenBefore, JSON)
  ARGV[1] id of the mark if there is none yet   ARGV[2] run id of the server, '' when it tells none

  Reply: { id, 1 if the mark was made now else 0, 1 if a change was found now else 0, changes as JSON or '' }.
  A program of a version before notes the last change alone, which is added to the list here.
  The mark has no time to live: one that is gone means that Redis has lost data.
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local MOST_CHANGES = 8
local known = redis.call("HMGET", KEYS[1], "id", "run", "changedAt", "seenAt", "seenBefore", "changes")
local id, changedAt = known[1], tonumber(known[3] or 0)
local changes = known[6] and cjson.decode(known[6]) or {}
local made, changed, isNew = 0, 0, false
local function note(at, seenBefore)
  changes[#changes + 1] = { at, seenBefore }
  if #changes > MOST_CHANGES then table.remove(changes, 1) end
  isNew = true
end
if changedAt > 0 and (#changes == 0 or changes[#changes][1] ~= changedAt) then
  note(changedAt, tonumber(known[5] or changedAt))
end
if not id then
  id, made = ARGV[1], 1
  redis.call("HSET", KEYS[1], "id", id)
end
if ARGV[2] ~= "" and known[2] ~= ARGV[2] then
  redis.call("HSET", KEYS[1], "run", ARGV[2])
  if known[2] then
    local seenBefore = tonumber(known[4] or now)
    note(now, seenBefore)
    changed = 1
    redis.call("HSET", KEYS[1], "changedAt", now, "seenBefore", seenBefore)
  end
end
if isNew then redis.call("HSET", KEYS[1], "changes", cjson.encode(changes)) end
redis.call("HSET", KEYS[1], "seenAt", now)
return { id, made, changed, #changes > 0 and cjson.encode(changes) or "" }
