-- Writes a pool's limits where every script reads them. Joined from state, configure.
--
-- KEYS  1 limits (hash: declared, limits, parameters, ceiling, breaker, version)  2 state
--       3 what version 0.1 counted outcomes in: it expires when the last of its programs must have stopped
-- ARGV  1 now in ms, '' for the server's clock  2 channel for news  3 pool
--       4 'declare': what the pools file says, at start; a declaration that is known already changes nothing
--         'change':  what an operator says; only if the version is still the one in 8
--       5 limits, JSON  6 parameters, JSON
--       7 '1' when the pool was known and is gone: Redis lost its data; 'lost' when that is known otherwise, and another
--         program may have declared the pool since
--       8 expected version, with 'change'
-- Reply the version of the limits in force; 0: another change came first
--
-- Atomic, because limits, version and the state that fits them change together: a script in between would find a
-- dimension without a level.

local limitsKey, stateKey = KEYS[1], KEYS[2]
local channel, pool, mode, limits = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local parameters = cjson.decode(ARGV[6])

local declared, version = unpack(redis.call('HMGET', limitsKey, 'declared', 'version'))
local known = mode == 'declare' and declared == limits
local lost = ARGV[7] == 'lost'
if known and not lost then return tonumber(version) end
if mode == 'change' and version ~= ARGV[8] then return 0 end

local state = stateFrom(redis.call('GET', stateKey))
if state then
  adoptLimits(parameters, state)
  if lost then beginCarefully(parameters, state, timeOf(ARGV[1])) end
else
  state = (ARGV[7] ~= '' and learningState or freshState)(parameters, timeOf(ARGV[1]))
end
redis.call('SET', stateKey, cmsgpack.pack(state))
if known then return tonumber(version) end
redis.call('EXPIRE', KEYS[3], 86400)

for _, group in ipairs(RARE_GROUPS) do
  redis.call('HSET', limitsKey, group, cmsgpack.pack(parameters[group]))
  parameters[group] = nil
end
redis.call('HSET', limitsKey, 'limits', limits, 'parameters', cmsgpack.pack(parameters))
if mode == 'declare' then redis.call('HSET', limitsKey, 'declared', limits) end
version = redis.call('HINCRBY', limitsKey, 'version', 1)
redis.call('PUBLISH', channel, cjson.encode({ { type = 'limits', pool = pool, version = version } }))
return version
