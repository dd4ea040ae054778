-- Part of configure: what the pools files of the workers say of a pool. During a change of the file, and where workers have
-- files of their own, there are several at a time. The one that was declared last is in force, whoever starts again with
-- an older one; lanes that only another names stay, behind its own, for as long as a worker declares them.
--
-- A worker declares again every 20 s or so (`REDECLARE_MS`). One that has not been heard of for a minute counts no longer,
-- and comes back as what it was for a day: a step back to an older file is in force once the newer one's workers are gone.

local LIVE_MS, KNOWN_MS = 60000, 86400000
-- A program of a version before declares once, at its start.
local FORMER_LIVE_MS = 3600000
local MOST_LANES = 48

-- The declarations that are known, with this one among them: sha1 of the limits -> { order, seenAt, lanes }.
local function noteDeclaration(limitsKey, mine, formerly, lanes, now)
  local packed, declared = unpack(redis.call('HMGET', limitsKey, 'declarations', 'declared'))
  local known, highest = unpackOr(packed, {}), 0
  for id, declaration in pairs(known) do
    if now - declaration.seenAt > KNOWN_MS then known[id] = nil else highest = math.max(highest, declaration.order) end
  end
  local former = declared and redis.sha1hex(declared)
  if former and former ~= mine and not known[former] then
    highest = highest + 1
    local theirs = cjson.decode(declared).lanes
    known[former] = { order = highest, seenAt = now + FORMER_LIVE_MS - LIVE_MS, lanes = theirs or lanes }
  end
  -- What the same process has declared before is over, unless another declares it too.
  if known[formerly] and formerly ~= mine then known[formerly].seenAt = now - LIVE_MS - 1 end
  local order = known[mine] and known[mine].order or highest + 1
  known[mine] = { order = order, seenAt = now, lanes = lanes }
  redis.call('HSET', limitsKey, 'declarations', cmsgpack.pack(known))
  return known
end

-- Those that living workers have, the latest first, as lists of { id, lanes }.
local function liveDeclarations(known, now)
  local live = {}
  for id, declaration in pairs(known) do
    if now - declaration.seenAt <= LIVE_MS then
      live[#live + 1] = { id = id, order = declaration.order, lanes = declaration.lanes }
    end
  end
  table.sort(live, function(a, b) return a.order > b.order end)
  return live
end

-- The lanes of all of them: those of the first as they are, then those that only others name. A share goes with its lane
-- while there is room for it, since shares add up to less than 1.
local function mergedLanes(live)
  local lanes, seen, shares = {}, {}, 0
  for place, declaration in ipairs(live) do
    for _, lane in ipairs(declaration.lanes) do
      if not seen[lane.name] and (place == 1 or #lanes < MOST_LANES) then
        seen[lane.name] = true
        local share = (place == 1 or shares + lane.share < 1) and lane.share or 0
        shares = shares + share
        lanes[#lanes + 1] =
          { name = lane.name, horizonMs = lane.horizonMs, reserveMs = lane.reserveMs, share = share }
      end
    end
  end
  return lanes
end

local function sameLanes(a, b)
  if #a ~= #b then return false end
  for place, lane in ipairs(a) do
    for name, value in pairs(lane) do
      if b[place][name] ~= value then return false end
    end
  end
  return true
end

-- Limits as JSON, with these lanes in place of their own.
local function withLanes(limits, lanes)
  local read = cjson.decode(limits)
  read.lanes = lanes
  return cjson.encode(read)
end
