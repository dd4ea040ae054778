-- Part of admit and settle: which lane may commit the quota, and when a denied waiter returns. A claim is what a
-- lane asks for, times in ms of quota. Twin of `src/model/lanes.ts`.

-- The lane's horizon; short for all while a ceiling is below 1, since throttles must be felt at once.
local function horizonMs(parameters, state, limits)
  for dimension in pairs(parameters.rates) do
    if state.dimensions[dimension].ceiling < 1 then return math.min(limits.horizonMs, parameters.ceiling.horizonMs) end
  end
  return limits.horizonMs
end

-- Whether a more urgent lane has handed out tickets that are not due yet.
local function isOutranked(parameters, state, limits)
  for _, other in ipairs(parameters.lanes) do
    if other.name == limits.name then return false end
    if state.lanes[other.name].ticketAt > state.at then return true end
  end
end

-- Whether the private reserve covers the call. What is drawn counts by itself, not by the level: a large request
-- that was granted ahead and has not started takes nothing from the server yet.
local function withinReserve(claim)
  local reserveMs = claim.limits.reserveMs
  return reserveMs > 0 and claim.lane.drawnMs + claim.costMs <= reserveMs
end

-- How much more is promised than the lane may commit to.
local function excessMs(claim)
  return claim.backlogMs - claim.limits.reserveMs - claim.horizonMs
end

-- May the lane commit the cost now? By its reserve, its horizon, or the share it has saved up.
local function mayCommit(parameters, claim)
  if withinReserve(claim) or excessMs(claim) <= 0 then return true end
  return claim.limits.share > 0 and claim.lane.creditMs > 0 and claim.backlogMs <= parameters.guaranteeHorizonMs
end

-- Commits the lane to its cost. Returns how long until the call may start, in ms.
local function commit(parameters, claim)
  local limits, lane = claim.limits, claim.lane
  local wait = withinReserve(claim) and 0 or math.max(0, claim.accrualMs - limits.reserveMs)
  if limits.reserveMs > 0 then lane.drawnMs = lane.drawnMs + claim.costMs end
  if lane.firstId == claim.id then lane.firstId = '' end
  if limits.share > 0 then
    local left = lane.creditMs - claim.costMs * lane.usage
    local least = -limits.share * parameters.guaranteeCreditMs
    -- In by the guarantee: the full debt, or a few large requests would turn a small share into most of the quota.
    lane.creditMs = excessMs(claim) > 0 and left or math.max(math.min(lane.creditMs, least), left)
  end
  return wait
end

-- Gives a denied waiter a time of return of its own. Without it every waiter would return at once and all but
-- one in vain. Non-binding: a ticket reserves nothing. Returns the time, in ms of the pool's clock.
local function takeTicket(parameters, claim, now)
  local limits, lane, outranked = claim.limits, claim.lane, claim.outranked
  local wait, spacing = excessMs(claim), claim.costMs * lane.usage
  if outranked and limits.share > 0 then
    local untilCredit = math.max(0, -lane.creditMs) / limits.share + 1
    local untilGuarantee = math.max(untilCredit, claim.backlogMs - parameters.guaranteeHorizonMs)
    if untilGuarantee < wait then
      wait = untilGuarantee
      -- At full pace almost every returning head would be denied, and one process would take the whole share.
      spacing = spacing / limits.share
    end
    -- Somebody is back soon after the share has come, or what is saved up meanwhile overflows.
    spacing = math.min(spacing, parameters.guaranteeSpacingMs)
  end
  -- Tickets are laid out by guesses at what others will cost. Where one request is a large part of the burst, the gaps
  -- between tickets let the lanes below slip in, or the level overflow; so the first in line of the most urgent
  -- waiting lane returns to the ms.
  local large = claim.costMs > parameters.burstMs / 2 and not outranked
  local first = lane.firstId == '' or lane.firstId == claim.id or now > lane.firstAt + parameters.firstGraceMs
  if large and first then
    lane.firstId, lane.firstAt = claim.id, now + wait
    lane.ticketAt = math.max(lane.ticketAt, lane.firstAt + spacing)
    return lane.firstAt
  end
  local at = math.max(lane.ticketAt, now + wait)
  lane.ticketAt = at + spacing
  return at
end

-- A call of the lane has ended: what it did not use is no longer drawn. Times in ms of quota.
local function giveBackDrawn(lane, reservedMs, usedMs)
  lane.drawnMs = math.max(0, lane.drawnMs - math.max(0, reservedMs - usedMs))
end

-- Learns from an answered call how much of its reservations the lane really uses.
local function learnUsage(parameters, lane, reservedMs, usedMs)
  if reservedMs <= 0 then return end
  local ratio = math.min(parameters.usageCap, usedMs / reservedMs)
  lane.usage = lane.usage + parameters.usageWeight * (ratio - lane.usage)
end
