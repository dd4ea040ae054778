-- May this call go now? Reserves its cost, or says when to ask again.
-- Joined from state, ceiling, throttles, quota, lanes, starts, probes, askers, breaker, denied-processes, door, day, holds,
-- decide, admit. Twin of `admit` in `src/model/gate.ts`.
--
-- KEYS  1 limits (hash)  2 state  3 reservations (hash: id -> MessagePack)  4 expiry (zset: id by ms)
--       5 starts (hash)  6 day, of the scope
-- ARGV  1 now in ms, '' for the server's clock  2 channel for news  3 pool  4 lane  5 reservation id  6 job  7 ttl in ms
--       8 process or ''  9 operation or ''  10.. pairs of dimension and amount
-- Reply {'granted', waitMs, probe 0|1, news}  the reservation is held; the same id gets the same grant again
--       {'wait', afterMs, news}               nothing is held
--       {'open', afterMs, cause, news}        the pool takes no calls
--       {'unconfigured'}, {'outdated', limits, version}, {'unknown-lane', names}
--       news: JSON list of the state changes made, or ''
--
-- Atomic, because the level that is tested must be the level that is debited, and the probe that is free the
-- one that is leased: between a read and a write of their own, two processes would both take it.

local limitsKey, stateKey, reservationsKey, expiryKey, startsKey, dayKey =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local channel, pool, laneName, id, job, ttlMs = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local process, operation = ARGV[8], ARGV[9]

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
if not parameters then return withoutParameters(limitsKey) end
local rank, limits = rankOf(parameters, laneName)
if not limits then
  local names = {}
  for _, known in ipairs(parameters.lanes) do names[#names + 1] = known.name end
  return { 'unknown-lane', table.concat(names, ', ') }
end

local time = timeOf(ARGV[1])
local packedState, packedDay = unpack(redis.call('MGET', stateKey, dayKey))
-- Limits without a state: it was lost.
local state = stateFrom(packedState) or learningState(parameters, time)
local day = unpackOr(packedDay) or freshDay()
local now = advance(parameters, state, time)
local dayChanged = advanceDay(parameters, day, now)
sweep(parameters, now)

local held = unpackOr(redis.call('HGET', reservationsKey, id))
if held then
  -- Kept, since the clock may have stepped; for the same reason no wait goes beyond the backlog.
  redis.call('SET', stateKey, cmsgpack.pack(state))
  if dayChanged then redis.call('SET', dayKey, cmsgpack.pack(day)) end
  local wait = math.max(0, math.min(held.startAt - now, backlogMs(parameters, state)))
  return { 'granted', math.ceil(wait), held.probe and 1 or 0, '' }
end

-- A canary that has been out for a while opens the pool again; those who were denied were denied it alone.
local function hearLetIn()
  local suspects = state.breaker.suspects
  local canary = letIn(state.breaker, now)
  local call = canary and unpackOr(redis.call('HGET', reservationsKey, canary))
  if call then contradict(parameters, state, suspects, call.operation or '', call.process or '', now) end
end

local cost = costFrom(ARGV, 10)
local changes = {}
local found = phaseOf(state.breaker)
hearLetIn()
afterBreaker(parameters, state, startsKey, pool, found, changes, now)
noteAsker(parameters, state.breaker, job, process)
local knocker =
  { pool = pool, rank = rank, last = #parameters.lanes - 1, job = job, process = process, operation = operation }
local answer, detail, more = decide(parameters, state, day, knocker, limits, id, cost)

local reply
if answer == 'open' then
  reply = { 'open', math.ceil(detail), more }
elseif answer == 'wait' then
  reply = { 'wait', math.ceil(takeTicket(parameters, detail, now) - now) }
else
  local probe = more
  local wait = commit(parameters, detail)
  debit(parameters, state, cost)
  debitDay(day, cost)
  countCall(parameters, state)
  countForHolds(parameters, state)
  noteTry(state, operation, process)
  local startAt = now + wait
  local before = phaseOf(state.breaker)
  local reservation = {
    lane = laneName, cost = cost, startAt = startAt, job = job,
    epoch = before.epoch, probe = probe, day = day.day, operation = operation, process = process,
  }
  redis.call('HSET', reservationsKey, id, cmsgpack.pack(reservation))
  redis.call('ZADD', expiryKey, string.format('%.3f', startAt + ttlMs), id)
  if probe then
    leaseProbe(parameters.breaker, state.breaker, id, startAt, ttlMs, now)
    noteBreaker(pool, state.breaker, before, changes)
  else
    countStart(parameters, startsKey, startAt, now)
  end
  dayChanged = dayChanged or cost['tokens-per-day'] ~= nil
  reply = { 'granted', math.ceil(wait), probe and 1 or 0 }
end

redis.call('SET', stateKey, cmsgpack.pack(state))
if dayChanged then redis.call('SET', dayKey, cmsgpack.pack(day)) end
local news = #changes > 0 and cjson.encode(changes) or ''
if news ~= '' then redis.call('PUBLISH', channel, news) end
reply[#reply + 1] = news
return reply
