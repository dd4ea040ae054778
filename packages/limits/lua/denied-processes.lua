-- Part of admit and settle: processes that are denied what others may call, for a role of their own: no sign of the pool's
-- access. It goes on, so somebody must be told. Twin of `src/model/denied-processes.ts`.
-- A list in the state: { process, operation, denials, since (when another process was answered first), at (when one was
-- last), told, triedAt (when it was last let try, since that was told) }. What version 0.1 wrote has no `since`.

local function deniedProcess(list, operation, process)
  for _, one in ipairs(list) do
    if one.operation == operation and one.process == process then return one end
  end
end

-- An operation was answered, or a call of it let in: who was denied it meanwhile, in another process, was denied it alone.
-- `suspects`: those known before.
local function contradict(parameters, state, suspects, operation, process, now)
  local list = state.deniedProcesses or {}
  for _, one in ipairs(list) do
    if one.operation == operation and one.process ~= process then one.at = now end
  end
  for _, one in ipairs(suspects) do
    if one.shape == operation and one.process ~= process and one.process ~= '' then
      local known = deniedProcess(list, operation, one.process)
      if known then
        known.denials = known.denials + 1
      else
        list[#list + 1] = {
          process = one.process, operation = operation, denials = 1, since = now, at = now, told = false, triedAt = 0,
        }
      end
    end
  end
  while #list > parameters.operationsKept do table.remove(list, 1) end
  if #list > 0 then state.deniedProcesses = list end
end

-- Whether the process is denied what others were answered lately.
local function isDeniedAlone(parameters, state, operation, process, now)
  local one = deniedProcess(state.deniedProcesses or {}, operation, process)
  return one ~= nil and math.abs(now - one.at) <= parameters.breaker.forgetMs
end

-- A process that is known to be denied tries again this often: the quota, and the jobs, are for the others.
local TRY_EVERY_MS = 10000

-- For how long the process shall leave its calls to others, in ms; 0: it may make one.
local function deniedForMs(parameters, state, operation, process)
  local now = state.at
  if not isDeniedAlone(parameters, state, operation, process, now) then return 0 end
  local one = deniedProcess(state.deniedProcesses, operation, process)
  return one.told and math.max(0, math.min(TRY_EVERY_MS, one.triedAt + TRY_EVERY_MS - now)) or 0
end

-- The process makes a call.
local function noteTry(state, operation, process)
  local one = deniedProcess(state.deniedProcesses or {}, operation, process)
  if one then one.triedAt = state.at end
end

-- What the breaker shall hear: a process that others contradict says nothing about the pool, but as a canary.
local function heardAs(alone, phase, outcome)
  local tested = phase == 'suspected' or phase == 'isolated'
  return (alone and not tested) and 'neutral' or outcome
end

-- News when a process turns out to be denied what others may call, and when it is answered again, once each; appended to
-- `changes`.
local function tellDeniedProcesses(parameters, state, pool, finding, alone, changes, now)
  local list = state.deniedProcesses
  if not list then return end
  local function tell(denied)
    changes[#changes + 1] = {
      type = 'operation-denied', pool = pool, operation = finding.operation, denied = denied, process = finding.process,
    }
  end
  local left = {}
  for _, one in ipairs(list) do
    local own = one.operation == finding.operation and one.process == finding.process
    if own and (finding.outcome == 'ok' or finding.outcome == 'throttled') then
      if one.told then tell(false) end
    else
      if own and alone then one.denials = one.denials + 1 end
      if own and not one.told and one.denials >= parameters.breaker.suspects then
        one.told, one.triedAt = true, now
        tell(true)
      end
      left[#left + 1] = one
    end
  end
  -- An empty list would be encoded as an object.
  state.deniedProcesses = #left > 0 and left or nil
end
