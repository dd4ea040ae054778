-- Reads a pool as it is now, and changes nothing. Joined from state, ceiling, quota, day, inspect.
--
-- KEYS  1 limits (hash)  2 state  3 reservations (hash)  4 day, of the scope
-- ARGV  1 now in ms, '' for the server's clock
-- Reply {version, limits JSON, parameters JSON, state JSON, day JSON, reservations}
--       {'unconfigured'}, {'outdated', limits, version}
--
-- Atomic, so that the parts of the picture belong to one moment.

local limitsKey, stateKey, reservationsKey, dayKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local parameters = loadParameters(limitsKey)
if not parameters then return withoutParameters(limitsKey) end
for _, group in ipairs(RARE_GROUPS) do parameters[group] = parameters[group] end
local version, limits = unpack(redis.call('HMGET', limitsKey, 'version', 'limits'))
local time = timeOf(ARGV[1])
local state = stateFrom(redis.call('GET', stateKey)) or learningState(parameters, time)
local day = unpackOr(redis.call('GET', dayKey)) or freshDay()
local now = advance(parameters, state, time)
-- Moves the day on; no pool has the name ''.
advanceDay(parameters, day, now)
dayClosedMs(parameters.day, day, '', {}, now)
-- An empty list would be encoded as an object.
for _, name in ipairs({ 'suspects', 'outageJobs', 'probes', 'askers', 'processes', 'deniedTo' }) do
  local list = state.breaker[name]
  state.breaker[name] = list and #list > 0 and list or nil
end
return {
  tonumber(version), limits, cjson.encode(parameters), cjson.encode(state), cjson.encode(day),
  redis.call('HLEN', reservationsKey),
}
