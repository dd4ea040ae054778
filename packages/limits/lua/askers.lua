-- Part of admit, settle and operate: whether other jobs, and other processes, are there at all, which matters while something is suspected. Twin of
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

-- Enough to find one among them that was not denied.
local PROCESSES_MOST = 4

local function noteProcess(breaker, process)
  local processes = breaker.processes or {}
  if process == '' or #processes >= PROCESSES_MOST or contains(processes, process) then return end
  processes[#processes + 1] = process
  breaker.processes = processes
end

-- A few are enough. `process`: nil where it is not the asker's to tell.
local function noteAsker(parameters, breaker, job, process)
  if breaker.phase ~= 'closed' or not isWatched(breaker) then return end
  if process then noteProcess(breaker, process) end
  local askers = breaker.askers or {}
  if contains(askers, job) or #askers >= math.max(2, parameters.breaker.suspectJobs) then return end
  askers[#askers + 1] = job
  breaker.askers = askers
end
