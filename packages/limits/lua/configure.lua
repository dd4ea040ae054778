-- Writes a pool's limits where every script reads them. Joined from state, declarations, configure.
--
-- KEYS  1 limits (hash: declared, declarations, limits, parameters, ceiling, breaker, version)  2 state
--       3 what version 0.1 counted outcomes in: it expires when the last of its programs must have stopped
-- ARGV  1 now in ms, '' for the server's clock  2 channel for news  3 pool
--       4 'declare': what a pools file says, at start and again and again; see declarations.lua
--         'change':  what an operator says; only if the version is still the one in 8
--       5 limits, JSON  6 parameters, JSON
--       7 '1' when the pool was known and is gone: Redis lost its data; 'lost' when that is known otherwise, and another
--         program may have declared the pool since
--       8 with 'change': the expected version; with 'declare': what this process declared before, JSON, or ''
--       9 with 'declare': what the limits say beyond the defaults   10 with 'declare': the order that was told, or ''
-- Reply {the version of the limits in force; 0: another change came first, with 'declare': its order or ''}
--
-- Atomic, because limits, version and the state that fits them change together: a script in between would find a
-- dimension without a level.

local limitsKey, stateKey = KEYS[1], KEYS[2]
local channel, pool, mode, limits = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local parameters = cjson.decode(ARGV[6])
local now = timeOf(ARGV[1])

local declared, version, packed = unpack(redis.call('HMGET', limitsKey, 'declared', 'version', 'parameters'))
if mode == 'change' and version ~= ARGV[8] then return { 0, '' } end

local inForce = unpackOr(packed)
-- What a newer version has made of a newer file is not undone.
if inForce and (inForce.form or 1) > PARAMETERS_FORM and not isUsable(inForce) then
  return { tonumber(version), '' }
end

-- Redis has lost what it knew of the pool, perhaps but for what came since.
local lost = ARGV[7] ~= ''

local function putState(fit)
  local state = stateFrom(redis.call('GET', stateKey))
  local isNew = not state
  if isNew then state = freshState(fit, now) else adoptLimits(fit, state) end
  if lost and (isNew or ARGV[7] == 'lost') then beginCarefully(parameters, state, now) end
  redis.call('SET', stateKey, cmsgpack.pack(state))
end

-- Puts parameters and limits in force, with the state that fits them.
local function put(fit, text)
  putState(fit)
  redis.call('EXPIRE', KEYS[3], 86400)
  for _, group in ipairs(RARE_GROUPS) do
    -- Left out where only the lanes are new.
    local packedGroup = rawget(fit, group)
    if packedGroup then redis.call('HSET', limitsKey, group, cmsgpack.pack(packedGroup)) end
    fit[group] = nil
  end
  redis.call('HSET', limitsKey, 'limits', text, 'parameters', cmsgpack.pack(fit))
  local next = redis.call('HINCRBY', limitsKey, 'version', 1)
  redis.call('PUBLISH', channel, cjson.encode({ { type = 'limits', pool = pool, version = next } }))
  return next
end

if mode == 'change' then return { put(parameters, limits), '' } end

local mine = {
  id = redis.sha1hex(limits), settings = redis.sha1hex(ARGV[9]), lanes = parameters.lanes, order = tonumber(ARGV[10]),
  formerly = ARGV[8] ~= '' and redis.sha1hex(ARGV[8]) or '',
}
local known = noteDeclaration(limitsKey, mine, now)
local live = liveDeclarations(known, now)
local lanes = mergedLanes(live)
local isLatest = live[1].id == mine.id

-- Puts in force what is not yet; returns the version of what is.
local function declare()
  if not inForce or (isLatest and declared ~= limits) then
    redis.call('HSET', limitsKey, 'declared', limits)
    local text = sameLanes(lanes, parameters.lanes) and limits or withLanes(limits, lanes)
    parameters.lanes = lanes
    return put(parameters, text)
  end
  if inForce.form ~= PARAMETERS_FORM or sameLanes(lanes, inForce.lanes) then
    if ARGV[7] == 'lost' then
      parameters.lanes = lanes
      putState(parameters)
    end
    return tonumber(version)
  end
  inForce.lanes = lanes
  return put(inForce, withLanes(redis.call('HGET', limitsKey, 'limits'), lanes))
end

-- As text: a number in a reply loses its fraction.
return { declare(), string.format('%.17g', known[mine.id].order) }
