-- Reads jobs for a list: never their data, of which only the size is told, and no text that is longer than a list may be.
--
-- KEYS  hashes of the jobs
-- ARGV  1 longest text that is read, bytes  2 bytes of all texts together  3.. names of the texts' fields
-- Reply for each job: nil when there is none, else
--       { bytes of its data, { timestamp, delay, priority, processedOn, finishedOn, atm, ats, stc },
--         { each text; nil when there is none; its length when it is too long } }
--
-- A script, since lengths and texts must be of the same moment, and a text of any length can have been written between.

local longest, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local jobs = {}
for place, hash in ipairs(KEYS) do
  local type = redis.call('TYPE', hash).ok
  if type == 'none' then
    jobs[place] = false
  elseif type ~= 'hash' then
    -- The job is there all the same, and whoever lists the lane has to see it.
    local numbers, texts = {}, {}
    for at = 1, 8 do numbers[at] = false end
    for at = 3, #ARGV do texts[at - 2] = false end
    jobs[place] = { 0, numbers, texts }
  else
    local numbers = redis.call('HMGET', hash,
      'timestamp', 'delay', 'priority', 'processedOn', 'finishedOn', 'atm', 'ats', 'stc')
    local texts = {}
    for at = 3, #ARGV do
      local length = redis.call('HSTRLEN', hash, ARGV[at])
      if length == 0 then
        texts[at - 2] = false
      elseif length > longest or length > left then
        texts[at - 2] = length
      else
        left = left - length
        texts[at - 2] = redis.call('HGET', hash, ARGV[at])
      end
    end
    jobs[place] = { redis.call('HSTRLEN', hash, 'data'), numbers, texts }
  end
end
return jobs
