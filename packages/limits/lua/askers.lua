-- Part of admit and settle: whether other jobs are there at all, which matters while something is suspected. Twin of
-- `src/model/askers.ts`.

local function isWatched(breaker)
  return breaker.run ~= nil or #breaker.suspects > 0
end

local function contains(list, wanted)
  for _, one in ipairs(list) do
    if one == wanted then return true end
  end
  return false
end

-- A few are enough.
local function noteAsker(parameters, breaker, job)
  if breaker.phase ~= 'closed' or not isWatched(breaker) then return end
  local askers = breaker.askers or {}
  if contains(askers, job) or #askers >= math.max(2, parameters.breaker.suspectJobs) then return end
  askers[#askers + 1] = job
  breaker.askers = askers
end
