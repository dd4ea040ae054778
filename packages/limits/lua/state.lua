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

-- The pool's parameters, or nil. The rare groups are read when they are first asked for.
local function loadParameters(limitsKey)
  local parameters = unpackOr(redis.call('HGET', limitsKey, 'parameters'))
  return parameters and setmetatable(parameters, {
    __index = function(self, group)
      local loaded = unpackOr(redis.call('HGET', limitsKey, group))
      rawset(self, group, loaded)
      return loaded
    end,
  })
end

-- The server's clock in ms, or the time a test gives.
local function timeOf(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
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
  }
  return state
end

-- A state for a pool whose state was lost: calls are in flight that nobody knows of.
local function learningState(parameters, now)
  local state = freshState(parameters, now)
  for _, at in pairs(state.dimensions) do
    at.level, at.cutAt = 0, now
    at.ceiling, at.floor = parameters.ceiling.restart, parameters.ceiling.restart
  end
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
