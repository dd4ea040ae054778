-- Part of admit and settle: which lane may commit the quota, and when a denied waiter returns.
-- Twin of `src/model/lanes.ts`.

local function laneLimits(parameters, name)
  for _, limits in ipairs(parameters.lanes) do
    if limits.name == name then return limits end
  end
end

-- A lane may commit up to its horizon; one with share saved up, up to the guarantee's.
-- Returns whether the request is admitted, and whether only the guaranteed share let it in.
local function standing(parameters, limits, lane, backlog)
  if backlog <= limits.horizonMs then return true, false end
  local guaranteed = limits.share > 0 and lane.creditMs > 0 and backlog <= parameters.guaranteeHorizonMs
  return guaranteed, guaranteed
end

-- Gives a denied waiter a time of return of its own. Without it every waiter would return at once and all but
-- one in vain. Non-binding: a ticket reserves nothing.
local function takeTicket(parameters, limits, lane, now, backlog, cost)
  local wait = backlog - limits.horizonMs
  local spacing = cost * lane.usage
  if limits.share > 0 then
    local untilCredit = math.max(0, -lane.creditMs) / limits.share + 1
    local untilGuarantee = math.max(untilCredit, backlog - parameters.guaranteeHorizonMs)
    if untilGuarantee < wait then
      wait = untilGuarantee
      -- At full pace almost every returning head would be denied, and one process would take the whole share.
      spacing = math.min(spacing / limits.share, parameters.guaranteeSpacingMs)
    end
  end
  local at = math.max(lane.ticketAt, now + wait)
  lane.ticketAt = at + spacing
  return at
end

-- Charges a grant to the lane's share.
local function chargeShare(parameters, limits, lane, cost, byGuarantee)
  if limits.share == 0 then return end
  local left = lane.creditMs - cost * lane.usage
  if byGuarantee then
    -- The full debt, or a few large requests would turn a small share into most of the quota.
    lane.creditMs = left
  else
    local least = -limits.share * parameters.guaranteeCreditMs
    lane.creditMs = math.max(math.min(lane.creditMs, least), left)
  end
end

-- Learns from a settled call how much of its reservations the lane really uses.
local function learnUsage(parameters, lane, reserved, used)
  if reserved <= 0 then return end
  local ratio = math.min(parameters.usageCap, used / reserved)
  lane.usage = lane.usage + parameters.usageWeight * (ratio - lane.usage)
end
