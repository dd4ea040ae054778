-- Part of admit, settle and operate: tokens per day, one figure for all pools of a scope, counted by UTC day.
-- Twin of `src/model/day.ts`.

local DAY_MS = 86400000

local function freshDay()
  return { day = 0, used = 0, parkedUntil = 0, parkings = 0 }
end

-- Moves the day's clock. One that stepped back leaves a parking as long as it was. Returns whether the day has to be stored.
local function advanceDay(parameters, day, now)
  local stepMs = now - (day.at or now)
  day.at = now
  local isParked = day.parkedUntil > 0 or day.pools ~= nil
  if isParked and -stepMs > parameters.clockStepMs then
    if day.parkedUntil > 0 then day.parkedUntil = day.parkedUntil + stepMs end
    for _, parking in pairs(day.pools or {}) do parking['until'] = parking['until'] + stepMs end
  end
  return isParked
end

-- When the parking of the pool ends, its own or that of its scope; in the past if it is not parked.
local function parkedUntil(day, pool)
  local own = day.pools and day.pools[pool]
  return math.max(day.parkedUntil, own and own['until'] or 0)
end

-- With less than this part of its quota left the day is used up; before that it is the size of a call that is in its way.
local REST_PART = 0.01

local function fitsDay(limits, day, cost)
  return not limits.quota or day.used + (cost['tokens-per-day'] or 0) <= limits.quota
end

-- How long the pool takes no calls of this cost, whoever makes them, in ms; 0: it does, or `dayRestMs` says more.
local function dayClosedMs(limits, day, pool, cost, now)
  local today = math.floor(now / DAY_MS)
  -- The day after is one that had begun already, before a clock stepped back over midnight.
  if day.day ~= today and day.day ~= today + 1 then day.day, day.used = today, 0 end
  local parkedMs = parkedUntil(day, pool) - now
  if parkedMs > 0 then return parkedMs end
  if fitsDay(limits, day, cost) or limits.quota - day.used > limits.quota * REST_PART then return 0 end
  return math.min(limits.recheckMs, (today + 1) * DAY_MS - now)
end

-- For how long this call is too large for what is left of the day, while smaller ones are not, in ms; 0: it is not. After
-- `dayClosedMs`.
local function dayRestMs(limits, day, cost, now)
  return fitsDay(limits, day, cost) and 0 or (day.day + 1) * DAY_MS - now
end

local function debitDay(day, cost)
  day.used = day.used + (cost['tokens-per-day'] or 0)
end

-- Yesterday's reservations do not count against today.
local function refundDay(day, reservation, used)
  if day.day ~= reservation.day then return end
  day.used = day.used + (used['tokens-per-day'] or 0) - (reservation.cost['tokens-per-day'] or 0)
end

-- Each parking in a row lasts twice as long.
local function longer(limits, last, now)
  local parkings = (last and last.parkings or 0) + 1
  return { parkings = parkings, ['until'] = now + math.min(limits.parkMostMs, limits.parkMs * 2 ^ (parkings - 1)) }
end

local function isConfirmed(day, pool, now)
  for name, parking in pairs(day.pools or {}) do
    if name ~= pool and now < parking['until'] then return true end
  end
  return false
end

-- The server says the day is over: rates are not to blame, so park instead of cutting them. Returns 'pool' or 'scope':
-- what is parked from now on that was not before; nil for neither.
local function park(limits, day, pool, now)
  if now < parkedUntil(day, pool) then return nil end
  if not isConfirmed(day, pool, now) then
    day.pools = day.pools or {}
    day.pools[pool] = longer(limits, day.pools[pool], now)
    return 'pool'
  end
  local parking = longer(limits, day, now)
  day.parkedUntil, day.parkings, day.pools = parking['until'], parking.parkings, nil
  return 'scope'
end

-- An answer after the parking: the next one is a first one again. Returns whether it changed the day.
local function answeredToday(day, pool, now)
  if now < parkedUntil(day, pool) then return false end
  local own = day.pools and day.pools[pool]
  if day.parkings == 0 and not own then return false end
  day.parkedUntil, day.parkings = 0, 0
  if own then
    day.pools[pool] = nil
    if not next(day.pools) then day.pools = nil end
  end
  return true
end

-- An operator ends every parking of the scope.
local function unpark(day)
  day.parkedUntil, day.parkings, day.pools = 0, 0, nil
end
