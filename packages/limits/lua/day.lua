-- Part of admit, settle and operate: tokens per day, one figure for all pools of a scope, counted by UTC day.
-- Twin of `src/model/day.ts`.

local DAY_MS = 86400000

local function freshDay()
  return { day = 0, used = 0, parkedUntil = 0, parkings = 0 }
end

-- How long the scope takes no calls of this cost, in ms; 0: it does.
local function dayClosedMs(limits, day, cost, now)
  local today = math.floor(now / DAY_MS)
  if day.day ~= today then day.day, day.used = today, 0 end
  if now < day.parkedUntil then return day.parkedUntil - now end
  if not limits.quota or day.used + (cost['tokens-per-day'] or 0) <= limits.quota then return 0 end
  return math.min(limits.recheckMs, (today + 1) * DAY_MS - now)
end

local function debitDay(day, cost)
  day.used = day.used + (cost['tokens-per-day'] or 0)
end

-- Yesterday's reservations do not count against today.
local function refundDay(day, reservation, used)
  if day.day ~= reservation.day then return end
  day.used = day.used + (used['tokens-per-day'] or 0) - (reservation.cost['tokens-per-day'] or 0)
end

-- The server says the day is over: rates are not to blame, so park instead of cutting them.
local function park(limits, day, now)
  if now < day.parkedUntil then return false end
  day.parkings = day.parkings + 1
  day.parkedUntil = now + math.min(limits.parkMostMs, limits.parkMs * 2 ^ (day.parkings - 1))
  return true
end

local function unpark(day)
  day.parkedUntil, day.parkings = 0, 0
end
