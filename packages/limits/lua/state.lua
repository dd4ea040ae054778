-- Part of every script (Lua has no include; `src/script.ts` joins the files): what is kept of a pool.
--
-- The parameters are one field of the pool's `limits` hash, written by `configure.lua`; the state is one value.
-- Both are MessagePack: numbers keep all their bits, and one read brings the whole pool.

local function unpackOr(packed, default)
  if not packed then return default end
  return cmsgpack.unpack(packed)
end

-- The server's clock in ms, or the time a test gives.
local function timeOf(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function freshLane(creditMs, now)
  return { usage = 1, ticketAt = now, creditMs = creditMs, creditAt = now }
end

-- The state of a pool nobody has called yet: one burst in hand, never a full minute.
local function freshState(parameters, now)
  local state = { at = now, dimensions = {}, lanes = {} }
  for _, limits in ipairs(parameters.lanes) do
    state.lanes[limits.name] = freshLane(limits.share * parameters.guaranteeCreditMs, now)
  end
  for dimension, rate in pairs(parameters.rates) do
    state.dimensions[dimension] = { level = rate.capacity }
  end
  return state
end

-- Amounts by dimension, from pairs of arguments: 'tokens', '1200', 'requests', '1'.
local function costFrom(arguments, first)
  local cost = {}
  for i = first, #arguments, 2 do cost[arguments[i]] = tonumber(arguments[i + 1]) end
  return cost
end
