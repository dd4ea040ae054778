--[[
  Chooses retries of an idle lane that need not wait longer, a few a second for the whole fleet, and says which. One
  script, since every worker's sweeper asks at about the same time: the first to ask has this second's, the others none.

  The number doubles with each second in which it is asked for: a retry that meets the trouble it comes from again shows
  that before many have followed it. A second without asking begins anew.

  KEYS[1] wait (list)          KEYS[2] prioritized (zset)   KEYS[3] delayed (zset)
  KEYS[4] the lane's pace (hash: at, count)

  ARGV[1] what precedes a job id in its key   ARGV[2] now, ms
  ARGV[3] jobs due before this are coming anyway, ms from now
  ARGV[4] a retry waits at least so long, ms  ARGV[5] the pace in ms    ARGV[6] jobs at most
  ARGV[7] jobs looked at, at most             ARGV[8] notes field name  ARGV[9] priority of returned jobs
  ARGV[10] field that says when a job may start: those that are chosen may at once
  A job kept apart because it was throttled again and again (its notes say so) is never meant.

  Reply: ids, earliest due first.
]]
local prefix, now, soon, least = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local pace, most, looked = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

if redis.call("EXISTS", KEYS[1], KEYS[2]) > 0 then
  return {}
end
local at, count = unpack(redis.call("HMGET", KEYS[4], "at", "count"))
if at and now - tonumber(at) < pace and now >= tonumber(at) then
  return {}
end
count = math.min(most, count and tonumber(count) * 2 or 1)

-- BullMQ's scores: the time times 4096, plus a sequence. A job may have been put off again since it failed, because
-- another run of it is under way or an equal one is being answered: only its failure's own delay is cut short.
local function isRetry(id, due)
  local fields = redis.pcall("HMGET", prefix .. id, "priority", "delay", ARGV[8])
  if fields.err then return false end
  local priority, delay, stored = unpack(fields)
  if priority ~= ARGV[9] or not delay or not stored then return false end
  local readable, notes = pcall(cjson.decode, stored)
  if not readable or type(notes) ~= "table" or notes.apart or type(notes.failedAt) ~= "number" then return false end
  local putOffAt = due - tonumber(delay)
  -- One put off in time to come was so before the clock was set back: nobody can say how long it has waited.
  return math.abs(putOffAt - notes.failedAt) <= least and (now - putOffAt >= least or putOffAt > now)
end

local ids = {}
local delayed = redis.call("ZRANGEBYSCORE", KEYS[3], (now + soon) * 4096, "+inf", "WITHSCORES", "LIMIT", 0, looked)
for i = 1, #delayed, 2 do
  if #ids == count then break end
  if isRetry(delayed[i], tonumber(delayed[i + 1]) / 4096) then ids[#ids + 1] = delayed[i] end
end
if #ids > 0 then
  redis.call("HSET", KEYS[4], "at", now, "count", count)
  redis.call("PEXPIRE", KEYS[4], 3 * pace)
  for _, id in ipairs(ids) do redis.call("HSET", prefix .. id, ARGV[10], "0") end
end
return ids
