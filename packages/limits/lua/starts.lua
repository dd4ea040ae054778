-- Part of admit and settle: calls and failures by when the call started. A slow call that works ends long after a
-- fast one that failed, so a count by ends would see the failures alone. Twin of `src/model/starts.ts`.
-- `startsKey` is a hash: 's<slot>' calls started, 'f<slot>' failures among them, and 'answered' (see answers.lua).

local function countStart(parameters, startsKey, startAt, now)
  local slot = math.floor(startAt / parameters.slotMs)
  if redis.call('HINCRBY', startsKey, 's' .. slot, 1) > 1 then return end
  -- A new slot: the time to drop those nobody will ask for, of a clock that was set back as well.
  local newest = math.floor(now / parameters.slotMs)
  for _, field in ipairs(redis.call('HKEYS', startsKey)) do
    local one = tonumber(string.match(field, '^[sf](%d+)$'))
    if one and math.abs(one - newest) > parameters.slotsKept then redis.call('HDEL', startsKey, field) end
  end
end

-- The call told nothing about the pool: as if it had never started.
local function uncountStart(parameters, startsKey, startAt)
  local field = 's' .. math.floor(startAt / parameters.slotMs)
  if redis.call('HEXISTS', startsKey, field) == 1 then redis.call('HINCRBY', startsKey, field, -1) end
end

local function countFailure(parameters, startsKey, startAt, weight)
  local slot = math.floor(startAt / parameters.slotMs)
  if redis.call('HEXISTS', startsKey, 's' .. slot) == 1 then
    redis.call('HINCRBYFLOAT', startsKey, 'f' .. slot, weight)
  end
end

-- Whether the calls of some spell that ends with this one failed: counted from there, failures outweigh what they may
-- be among all calls started (answered, failed and still out) by `minimumCalls`. The same sum as a CUSUM test in the
-- order of starts: 40 % of failures never get there, and a total outage does in as many calls.
local function spellFailed(parameters, startsKey, startAt)
  local limits = parameters.breaker
  local newest = math.floor(startAt / parameters.slotMs)
  local fields = {}
  for slot = newest, newest - parameters.spellSlots + 1, -1 do
    fields[#fields + 1], fields[#fields + 2] = 's' .. slot, 'f' .. slot
  end
  local counts = redis.call('HMGET', startsKey, unpack(fields))
  local excess = 0
  for i = 1, #fields, 2 do
    excess = excess + (tonumber(counts[i + 1]) or 0) / limits.failureRatio - (tonumber(counts[i]) or 0)
    if excess >= limits.minimumCalls then return true end
  end
  return false
end

-- All that happened before the pool was closed again; what was answered stays known.
local function forgetStarts(startsKey)
  local answered = redis.call('HGET', startsKey, 'answered')
  redis.call('DEL', startsKey)
  if answered then redis.call('HSET', startsKey, 'answered', answered) end
end
