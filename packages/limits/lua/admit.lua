-- May this call go now? Reserves its cost, or says when to ask again.
-- Joined from state, ceiling, quota, lanes, breaker, day, admit. Twin of `admit` in `src/model/gate.ts`.
--
-- KEYS  1 limits (hash)  2 state  3 reservations (hash: id -> MessagePack)  4 expiry (zset: id by ms)
--       5 outcomes (hash)  6 day, of the scope
-- ARGV  1 now in ms, '' for the server's clock  2 channel for news  3 pool  4 lane  5 reservation id  6 job  7 ttl in ms
--       8.. pairs of dimension and amount
-- Reply {'granted', waitMs, probe 0|1, news}  the reservation is held; the same id gets the same grant again
--       {'wait', afterMs, news}               nothing is held
--       {'open', afterMs, cause, news}        the pool takes no calls
--       {'unconfigured'}, {'unknown-lane', names}
--       news: JSON list of the state changes made, or ''
--
-- Atomic, because the level that is tested must be the level that is debited, and the probe that is free the
-- one that is leased: between a read and a write of their own, two processes would both take it.

local limitsKey, stateKey, reservationsKey, expiryKey, dayKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[6]
local channel, pool, laneName, id, job, ttlMs = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])

-- Drops reservations of workers that died, a few at a time. Nothing is refunded: the calls may have run, and a
-- rate limit heals by itself.
local function sweep(parameters, now)
  local expired = redis.call('ZRANGEBYSCORE', expiryKey, '-inf', now, 'LIMIT', 0, parameters.sweepLimit)
  if #expired == 0 then return end
  redis.call('ZREM', expiryKey, unpack(expired))
  redis.call('HDEL', reservationsKey, unpack(expired))
end

local function rankOf(parameters, name)
  for place, limits in ipairs(parameters.lanes) do
    if limits.name == name then return place - 1, limits end
  end
end

local parameters = loadParameters(limitsKey)
if not parameters then return { 'unconfigured' } end
local rank, limits = rankOf(parameters, laneName)
if not limits then
  local names = {}
  for _, known in ipairs(parameters.lanes) do names[#names + 1] = known.name end
  return { 'unknown-lane', table.concat(names, ', ') }
end

local time = timeOf(ARGV[1])
local packedState, packedDay = unpack(redis.call('MGET', stateKey, dayKey))
-- Limits without a state: it was lost.
local state = unpackOr(packedState) or learningState(parameters, time)
local day = unpackOr(packedDay) or freshDay()
local now = advance(parameters, state, time)
sweep(parameters, now)

local held = unpackOr(redis.call('HGET', reservationsKey, id))
if held then
  -- Kept, since the clock may have stepped; for the same reason no wait goes beyond the backlog.
  redis.call('SET', stateKey, cmsgpack.pack(state))
  local wait = math.max(0, math.min(held.startAt - now, backlogMs(parameters, state)))
  return { 'granted', math.ceil(wait), held.probe and 1 or 0, '' }
end

local cost = costFrom(ARGV, 8)
local before, changes = phaseOf(state.breaker), {}
local door, shutMs, cause = knock(parameters, state.breaker, rank, #parameters.lanes - 1, now)
noteBreaker(pool, state.breaker, before, changes)
local closedMs = dayClosedMs(parameters.day, day, cost, now)

local reply
if closedMs > 0 then
  reply = { 'open', math.ceil(closedMs), 'day' }
elseif door == 'shut' then
  reply = { 'open', math.ceil(shutMs), cause }
else
  local claim = {
    id = id,
    limits = limits,
    lane = state.lanes[laneName],
    costMs = costMs(parameters, state, cost),
    backlogMs = backlogMs(parameters, state),
    accrualMs = accrualMs(parameters, state, cost),
    horizonMs = horizonMs(parameters, state, limits),
    outranked = isOutranked(parameters, state, limits),
  }
  local probe = door == 'probe'
  -- A probe does not queue behind its lane's horizon, but pays like every call.
  if probe or mayCommit(parameters, claim) then
    local wait = commit(parameters, claim)
    debit(parameters, state, cost)
    debitDay(day, cost)
    local startAt = now + wait
    local reservation = {
      lane = laneName, cost = cost, startAt = startAt, job = job,
      epoch = state.breaker.epoch, probe = probe, day = day.day,
    }
    redis.call('HSET', reservationsKey, id, cmsgpack.pack(reservation))
    redis.call('ZADD', expiryKey, string.format('%.3f', startAt + ttlMs), id)
    if probe then leaseProbe(parameters.breaker, state.breaker, id, startAt, ttlMs) end
    if cost['tokens-per-day'] then redis.call('SET', dayKey, cmsgpack.pack(day)) end
    reply = { 'granted', math.ceil(wait), probe and 1 or 0 }
  else
    reply = { 'wait', math.ceil(takeTicket(parameters, claim, now) - now) }
  end
end

redis.call('SET', stateKey, cmsgpack.pack(state))
local news = #changes > 0 and cjson.encode(changes) or ''
if news ~= '' then redis.call('PUBLISH', channel, news) end
reply[#reply + 1] = news
return reply
