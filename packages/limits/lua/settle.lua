-- Ends a reservation: gives back what was not used, and learns from how the call ended.
-- Joined from state, ceiling, throttles, quota, lanes, starts, probes, askers, breaker, answers, evidence, denied,
-- denied-processes, day, holds, settle. Twin of `settle` in `src/model/gate.ts`.
--
-- KEYS  1 limits (hash)  2 state  3 reservations (hash)  4 expiry (zset)  5 starts (hash)  6 day, of the scope
-- ARGV  1 now in ms, '' for the server's clock  2 channel for news  3 pool  4 reservation id
--       5 outcome: ok | failed | timeout | throttled | systemic | neutral  6 throttled dimension or ''
--       7 weight of a failure  8 operation or ''  9 '1' to ask for a retry, else ''
--       10 for how long the server wants no calls, ms
--       11.. pairs of dimension and amount really used; a dimension left out counts as reserved
-- Reply {'settled', 'granted' | 'exhausted' | '', news, probe 0|1, shut ms, ms since the pool last answered another job,
--        ms since this operation did, largest reservation that passed lately}: -1 when it did not within memory
--       {'late'}: no such reservation, nothing changed;  {'outdated', limits, version}
--       news: JSON list of the state changes made, or ''
--
-- Atomic, because the reservation must be taken exactly once and everything it moves in the same step: a resent
-- command would otherwise refund twice and count a failure twice.

local limitsKey, stateKey, reservationsKey, expiryKey, startsKey, dayKey =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local channel, pool, id, outcome, named = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]

local reservation = unpackOr(redis.call('HGET', reservationsKey, id))
local parameters = loadParameters(limitsKey)
local packedState, packedDay = unpack(redis.call('MGET', stateKey, dayKey))
if not (reservation and packedState) then return { 'late' } end
if not parameters then return withoutParameters(limitsKey) end
redis.call('HDEL', reservationsKey, id)
redis.call('ZREM', expiryKey, id)
local state = stateFrom(packedState)
local day = unpackOr(packedDay) or freshDay()
local now = advance(parameters, state, timeOf(ARGV[1]))
local dayChanged = advanceDay(parameters, day, now)

-- The server refused for its quota: it had less than the level claimed, so the level gets nothing back. A refund would
-- send the next call into the same wall.
local sign = outcome == 'throttled'
if sign and named ~= 'tokens-per-day' then
  sign = refuse(parameters, state, named, reservation.cost, reservation.startAt, now)
end
local used = sign and {} or costFrom(ARGV, 11)
for dimension, reserved in pairs(reservation.cost) do used[dimension] = used[dimension] or reserved end
refund(parameters, state, reservation.cost, used)
refundDay(day, reservation, used)
local lane = state.lanes[reservation.lane]
if lane then
  local reservedMs, usedMs = costMs(parameters, state, reservation.cost), costMs(parameters, state, used)
  giveBackDrawn(lane, reservedMs, usedMs)
  if outcome == 'ok' then learnUsage(parameters, lane, reservedMs, usedMs) end
end

local changes = {}
dayChanged = dayChanged or used['tokens-per-day'] ~= nil
if outcome == 'throttled' and named == 'tokens-per-day' then
  local parked = park(parameters.day, day, pool, now)
  if parked then
    dayChanged = true
    local alone = parked == 'pool' and true or nil
    changes[1] = { type = 'day', pool = pool, untilMs = math.ceil(parkedUntil(day, pool)), alone = alone }
  end
elseif outcome == 'ok' and answeredToday(day, pool, now) then
  dayChanged = true
end

if outcome == 'ok' then notePassed(parameters, state, reservation.cost, now) end
doubtQuotas(parameters, state, pool, changes, now)

local job, operation, holdMs = reservation.job or id, ARGV[8], tonumber(ARGV[10])
-- Only a failure asks who was answered meanwhile.
local answers = outcome == 'ok' and {} or loadAnswers(startsKey, state)
local poolAnsweredAt, operationAnsweredAt = othersAnsweredAt(answers, operation, job)
local before = phaseOf(state.breaker)
local finding = {
  id = id, job = job, operation = operation, process = reservation.process or '', epoch = reservation.epoch,
  startAt = reservation.startAt, probe = reservation.probe, outcome = outcome, weight = tonumber(ARGV[7]),
}
local alone = outcome == 'systemic' and isDeniedAlone(parameters, state, operation, finding.process, now)
if outcome == 'ok' or outcome == 'throttled' then
  contradict(parameters, state, state.breaker.suspects, operation, finding.process, now)
end
finding.outcome = heardAs(alone, state.breaker.phase, outcome)
hear(parameters, state.breaker, { startsKey = startsKey, answers = answers, reservationsKey = reservationsKey }, finding, now)
tellDenied(parameters, state, pool, answers, operation, finding.outcome, changes)
finding.outcome = outcome
tellDeniedProcesses(parameters, state, pool, finding, alone, changes, now)
if outcome == 'ok' and mayNote(parameters, state, now) then
  noteAnswer(startsKey, parameters.operationsKept, state, operation, job, now)
end
afterBreaker(parameters, state, startsKey, pool, before, changes, now)
if outcome == 'failed' or outcome == 'timeout' or (outcome == 'neutral' and holdMs > 0) then noteFailing(parameters, state) end
local heeded = holdMs > 0 and isHeeded(parameters, state, outcome, sign, now)
if heeded and hold(parameters.breaker, state.breaker, holdMs, now) then
  changes[#changes + 1] = { type = 'hold', pool = pool, untilMs = math.ceil(state.breaker.heldUntil) }
end

local budget = parameters.retry
if outcome == 'ok' then state.retries = math.min(budget.most, state.retries + budget.perSuccess) end
local retry = ''
if ARGV[9] == '1' then
  retry = state.retries >= 1 and 'granted' or 'exhausted'
  if retry == 'granted' then state.retries = state.retries - 1 end
end

redis.call('SET', stateKey, cmsgpack.pack(state))
if dayChanged then redis.call('SET', dayKey, cmsgpack.pack(day)) end
local news = #changes > 0 and cjson.encode(changes) or ''
if news ~= '' then redis.call('PUBLISH', channel, news) end
-- How long ago that was; -1: not within memory, or by a clock that has been set back since.
local function ago(at)
  return (at == 0 or at > now) and -1 or math.floor(now - at)
end
return {
  'settled', retry, news, reservation.probe and 1 or 0, math.ceil(shutMs(parameters, state.breaker, parkedUntil(day, pool), now)),
  -- What others were answered is no proof against a job whose process alone is denied.
  ago(poolAnsweredAt), alone and -1 or ago(operationAnsweredAt),
  outcome == 'throttled' and math.floor(largestPassed(parameters.ceiling, state, now) + 0.5) or 0,
}
