-- May this call go now? Reserves its cost, or says when to ask again. Joined from state, quota, lanes, admit.
--
-- KEYS  1 limits (hash)  2 state  3 reservations (hash: id -> MessagePack)  4 expiry (zset: id by ms)
-- ARGV  1 now in ms, '' for the server's clock  2 lane  3 reservation id  4 ttl in ms
--       5.. pairs of dimension and amount
-- Reply {'granted', waitMs}  the reservation is held; the same id asked again gets the same grant
--       {'wait', afterMs}    nothing is held
--       {'unconfigured'}     the pool has no limits
--       {'unknown-lane', names}
--
-- Atomic, because the level that is tested must be the level that is debited: between a read and a write of
-- their own, two processes would both spend the same quota.

local limitsKey, stateKey, reservationsKey, expiryKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local laneName, id, ttlMs = ARGV[2], ARGV[3], tonumber(ARGV[4])

-- Drops reservations of workers that died, a few at a time. Nothing is refunded: the calls may have run, and a
-- rate limit heals by itself.
local function sweep(parameters, now)
  local expired = redis.call('ZRANGEBYSCORE', expiryKey, '-inf', now, 'LIMIT', 0, parameters.sweepLimit)
  if #expired == 0 then return end
  redis.call('ZREM', expiryKey, unpack(expired))
  redis.call('HDEL', reservationsKey, unpack(expired))
end

local parameters = unpackOr(redis.call('HGET', limitsKey, 'parameters'))
if not parameters then return { 'unconfigured' } end
local limits = laneLimits(parameters, laneName)
if not limits then
  local names = {}
  for _, known in ipairs(parameters.lanes) do names[#names + 1] = known.name end
  return { 'unknown-lane', table.concat(names, ', ') }
end

local time = timeOf(ARGV[1])
local state = unpackOr(redis.call('GET', stateKey)) or freshState(parameters, time)
local now = advance(parameters, state, time)
sweep(parameters, now)

local held = unpackOr(redis.call('HGET', reservationsKey, id))
if held then return { 'granted', math.ceil(math.max(0, held.startAt - now)) } end

local cost = costFrom(ARGV, 5)
local lane = state.lanes[laneName]
local backlog = backlogMs(parameters, state, limits.reserveMs)
local admitted, byGuarantee = standing(parameters, limits, lane, backlog)
local reply
if admitted then
  local wait = accrualMs(parameters, state, cost, limits.reserveMs)
  debit(parameters, state, cost)
  chargeShare(parameters, limits, lane, costMs(parameters, cost), byGuarantee)
  local reservation = { lane = laneName, cost = cost, startAt = now + wait }
  redis.call('HSET', reservationsKey, id, cmsgpack.pack(reservation))
  redis.call('ZADD', expiryKey, string.format('%.3f', now + wait + ttlMs), id)
  reply = { 'granted', math.ceil(wait) }
else
  local at = takeTicket(parameters, limits, lane, now, backlog, costMs(parameters, cost))
  reply = { 'wait', math.ceil(at - now) }
end
redis.call('SET', stateKey, cmsgpack.pack(state))
return reply
