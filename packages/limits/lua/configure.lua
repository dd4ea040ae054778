-- Writes a pool's limits where both scripts read them. Joined from state, configure.
--
-- KEYS  1 limits (hash)  2 state
-- ARGV  1 now in ms, '' for the server's clock  2 limits as declared, JSON  3 parameters, JSON
-- Reply the version of the limits in force
--
-- Atomic, because limits and the state that fits them change together: a script in between would find a
-- dimension without a level.

local limitsKey, stateKey = KEYS[1], KEYS[2]
local declared, parameters = ARGV[2], cjson.decode(ARGV[3])

if redis.call('HGET', limitsKey, 'declared') ~= declared then
  redis.call('HSET', limitsKey, 'declared', declared, 'parameters', cmsgpack.pack(parameters))
  redis.call('HINCRBY', limitsKey, 'version', 1)
  local state = unpackOr(redis.call('GET', stateKey))
  if state then
    -- What is new starts fresh; what stays keeps its state.
    local fresh = freshState(parameters, state.at)
    for dimension, at in pairs(fresh.dimensions) do
      state.dimensions[dimension] = state.dimensions[dimension] or at
    end
    for name, lane in pairs(fresh.lanes) do state.lanes[name] = state.lanes[name] or lane end
    redis.call('SET', stateKey, cmsgpack.pack(state))
  end
end
return tonumber(redis.call('HGET', limitsKey, 'version'))
