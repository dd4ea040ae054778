-- Ends a reservation: gives back what was not used. Joined from state, quota, lanes, settle.
--
-- KEYS  1 limits (hash)  2 state  3 reservations (hash)  4 expiry (zset)
-- ARGV  1 now in ms, '' for the server's clock  2 reservation id  3 outcome: ok | failed | throttled | neutral
--       4.. pairs of dimension and amount really used; a dimension left out counts as reserved
-- Reply {'settled'}  or  {'late'}: no such reservation (settled before, or expired), nothing changed
--
-- Atomic, because the reservation must be taken exactly once and the level moved in the same step: a resent
-- command would otherwise refund twice.

local limitsKey, stateKey, reservationsKey, expiryKey = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id, outcome = ARGV[2], ARGV[3]

local reservation = unpackOr(redis.call('HGET', reservationsKey, id))
local parameters = unpackOr(redis.call('HGET', limitsKey, 'parameters'))
local state = unpackOr(redis.call('GET', stateKey))
if not (reservation and parameters and state) then return { 'late' } end
redis.call('HDEL', reservationsKey, id)
redis.call('ZREM', expiryKey, id)
advance(parameters, state, timeOf(ARGV[1]))

local used = costFrom(ARGV, 4)
for dimension, reserved in pairs(reservation.cost) do
  if not used[dimension] then used[dimension] = reserved end
end
refund(parameters, state, reservation.cost, used)
local lane = state.lanes[reservation.lane]
if lane and outcome == 'ok' then
  learnUsage(parameters, lane, costMs(parameters, reservation.cost), costMs(parameters, used))
end
redis.call('SET', stateKey, cmsgpack.pack(state))
return { 'settled' }
