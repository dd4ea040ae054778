-- Part of every script (Lua inside Redis has no include; `src/script.ts` joins the files): what is kept of a
-- pool. Twin of `src/model/state.ts`, which names and explains each field.
--
-- The parameters are fields of the pool's `limits` hash, written by `configure.lua`; the state is one value. Both
-- are MessagePack: numbers keep all their bits, and one read brings the whole pool.

local function unpackOr(packed, default)
  if not packed then return default end
  return cmsgpack.unpack(packed)
end

-- Groups that a healthy pool does not need: unpacking them would be a third of what a script costs.
local RARE_GROUPS = { 'ceiling', 'breaker' }

-- What `src/parameters.ts` calls the form of parameters. A program of another version may have written them: an older
-- form is made anew; a newer one says by `since` which scripts can work with it.
local PARAMETERS_FORM = 2

local function isUsable(parameters)
  return parameters.form == PARAMETERS_FORM
    or (parameters.form and parameters.form > PARAMETERS_FORM and (parameters.since or parameters.form) <= PARAMETERS_FORM)
end

-- The pool's parameters, or nil. The rare groups are read when they are first asked for.
local function loadParameters(limitsKey)
  local parameters = unpackOr(redis.call('HGET', limitsKey, 'parameters'))
  if not parameters or not isUsable(parameters) then return nil end
  return setmetatable(parameters, {
    __index = function(self, group)
      local loaded = unpackOr(redis.call('HGET', limitsKey, group))
      rawset(self, group, loaded)
      return loaded
    end,
  })
end

-- The reply when there are no parameters: the caller makes them anew, from the limits in force if there are any, but for
-- those of a newer form. Two versions that made them anew in turns would do so with every call.
local function withoutParameters(limitsKey)
  local limits, version, packed = unpack(redis.call('HMGET', limitsKey, 'limits', 'version', 'parameters'))
  local form = unpackOr(packed, {}).form or 1
  if form > PARAMETERS_FORM then return { 'newer', form, PARAMETERS_FORM } end
  if limits then return { 'outdated', limits, version } end
  return { 'unconfigured' }
end

-- The server's clock in ms, or the time a test gives.
local function timeOf(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The breaker is one flat record, and only what the phase uses means anything. Version 0.1 wrote it without `heldUntil`,
-- `outageSince`, `outageJobs`, `probes`, `run`, `askers`, `answeredAt` and `answeringSince`, and its programs may still
-- run beside this one during a deploy: they find every field that they know with its old meaning (`timeouts` is only
-- theirs), and what they leave out is made up here.
local function adoptBreaker(breaker)
  breaker.answeredAt = breaker.answeredAt or 0
  breaker.answeringSince = breaker.answeringSince or 0
  local phase = breaker.phase
  if phase == 'open' or phase == 'half-open' then
    -- Opened by such a program: its age is not known.
    breaker.outageSince = breaker.outageSince or breaker['until']
    breaker.outageJobs = breaker.outageJobs or {}
    breaker.probes = phase == 'half-open' and breaker.probes or {}
    local known = breaker.probeId == ''
    for _, probe in ipairs(breaker.probes) do known = known or probe.id == breaker.probeId end
    if phase == 'half-open' and not known then
      table.insert(breaker.probes, { id = breaker.probeId, ['until'] = breaker.probeUntil })
    end
  end
  -- Such a program neither says which process it is nor forgets what others said.
  if phase == 'closed' then breaker.deniedTo, breaker.another, breaker.canaryStart = nil, nil, nil end
  for _, suspect in ipairs(breaker.suspects) do
    suspect.at = suspect.at or 0
    suspect.since, suspect.process = suspect.since or suspect.at, suspect.process or ''
  end
  -- Failures in a row of an epoch that is over are none.
  if breaker.run and (phase ~= 'closed' or breaker.run.epoch ~= breaker.epoch) then breaker.run = nil end
end

-- The state, or nil.
local function stateFrom(packed)
  local state = unpackOr(packed)
  if state then adoptBreaker(state.breaker) end
  return state
end

-- Keeps every moment of the breaker where it was relative to a clock that stepped. 0 is no moment.
local function shiftBreaker(breaker, stepMs)
  local function shift(record, name)
    local at = record[name]
    if at and at > 0 then record[name] = at + stepMs end
  end
  local moments = { 'until', 'closedAt', 'probeUntil', 'heldUntil', 'outageSince', 'answeredAt', 'answeringSince' }
  for _, name in ipairs(moments) do shift(breaker, name) end
  if breaker.run then shift(breaker.run, 'since') end
  for _, suspect in ipairs(breaker.suspects) do
    shift(suspect, 'at')
    shift(suspect, 'since')
  end
  if breaker.canaryStart then shift(breaker.canaryStart, 'at') end
  for _, probe in ipairs(breaker.probes or {}) do shift(probe, 'until') end
end

-- A state for limits nobody has used yet: one burst in hand, never a full minute.
local function freshState(parameters, now)
  local state = { at = now, dimensions = {}, lanes = {}, retries = parameters.retry.most }
  for dimension, rate in pairs(parameters.rates) do
    state.dimensions[dimension] = { level = rate.capacity, ceiling = 1, peak = 1, floor = 1, cutAt = 0, cuts = 0 }
  end
  for _, limits in ipairs(parameters.lanes) do
    local creditMs = limits.share * parameters.guaranteeCreditMs
    state.lanes[limits.name] =
      { usage = 1, ticketAt = now, firstId = '', firstAt = now, creditMs = creditMs, drawnMs = 0 }
  end
  state.breaker = {
    phase = 'closed', epoch = 1, ['until'] = 0, openings = 0, closedAt = 0,
    probeId = '', probeUntil = 0, successes = 0, timeouts = 0, suspects = {},
    answeredAt = 0, answeringSince = 0,
  }
  return state
end

-- What was known of the quota is lost, and what is in flight unknown: nothing in hand, and half the rate. A rate that
-- has learnt something since is left as it is, so this may come twice, and late.
local function beginCarefully(parameters, state, now)
  state.at = math.max(state.at, now)
  for _, at in pairs(state.dimensions) do
    if at.cutAt <= 0 then
      at.level, at.cutAt = math.min(at.level, 0), now
      at.ceiling, at.floor = parameters.ceiling.restart, parameters.ceiling.restart
    end
  end
end

-- A state for a pool whose state was lost: calls are in flight that nobody knows of.
local function learningState(parameters, now)
  local state = freshState(parameters, now)
  beginCarefully(parameters, state, now)
  return state
end

-- Changed limits: what is new starts fresh, what stays keeps its state.
local function adoptLimits(parameters, state)
  local fresh = freshState(parameters, state.at)
  for dimension, at in pairs(fresh.dimensions) do
    state.dimensions[dimension] = state.dimensions[dimension] or at
  end
  for name, lane in pairs(fresh.lanes) do state.lanes[name] = state.lanes[name] or lane end
end

-- Amounts by dimension, from pairs of arguments: 'tokens', '1200', 'requests', '1'.
local function costFrom(arguments, first)
  local cost = {}
  for i = first, #arguments, 2 do cost[arguments[i]] = tonumber(arguments[i + 1]) end
  return cost
end
