-- An operator moves the breaker or the day by hand. Joined from state, ceiling, quota, starts, probes, askers, breaker, day, operate.
--
-- KEYS  1 limits (hash)  2 state  3 starts (hash)  4 day, of the scope
-- ARGV  1 now in ms, '' for the server's clock  2 channel for news  3 pool
--       4 open | close | isolate | release-day  5 with open: for how long, in ms
-- Reply news: JSON list of the state changes made, or ''; {'unconfigured'}, {'outdated', limits, version}
--
-- Atomic, because a settle between the read and the write would be undone.

local limitsKey, stateKey, startsKey, dayKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local channel, pool, action = ARGV[2], ARGV[3], ARGV[4]

local parameters = loadParameters(limitsKey)
if not parameters then return withoutParameters(limitsKey) end
local state = stateFrom(redis.call('GET', stateKey))
if not state then return { 'unconfigured' } end
local now = advance(parameters, state, timeOf(ARGV[1]))
local before, changes = phaseOf(state.breaker), {}

if action == 'open' then
  open(parameters.breaker, state.breaker, now, tonumber(ARGV[5]))
  -- By its epoch: a program of before that moves the breaker on does not know the field.
  state.breaker.byHand = state.breaker.epoch
elseif action == 'close' then
  close(state.breaker, now)
  release(state.breaker)
elseif action == 'isolate' then
  isolate(state.breaker, 0, '')
else
  local day = unpackOr(redis.call('GET', dayKey)) or freshDay()
  unpark(day)
  redis.call('SET', dayKey, cmsgpack.pack(day))
  changes[1] = { type = 'day', pool = pool, untilMs = 0 }
end
afterBreaker(parameters, state, startsKey, pool, before, changes, now)

redis.call('SET', stateKey, cmsgpack.pack(state))
local news = #changes > 0 and cjson.encode(changes) or ''
if news ~= '' then redis.call('PUBLISH', channel, news) end
return news
