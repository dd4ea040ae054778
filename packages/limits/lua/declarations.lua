-- Part of configure: what the pools files of the workers say of a pool. During a change of the file, and where workers have
-- files of their own, there are several at a time. The one that was declared last is in force, whoever starts again with
-- an older one; lanes that only another names stay, behind its own, for as long as a worker declares them.
--
-- A worker declares again every 20 s or so (`REDECLARE_MS`). One that has not been heard of for a minute counts no longer,
-- and comes back as what it was: a step back to an older file is in force once the newer one's workers are gone.
--
-- The order is by the server's time of the first declaration. Each process remembers that of its own and says it again,
-- so that after a loss the order is what it was, whoever comes first.

local LIVE_MS = 60000
-- A program of a version before declares once, at its start.
local FORMER_LIVE_MS = 3600000
local MOST_LANES = 48
-- Those that no living worker has, by when they were heard of last. What is forgotten counts as new when it comes back.
local MOST_FORMER = 50
-- Between two that say the same in other words, as those of two versions do; files lie 1 or more apart.
local SAME_FILE = 0.001

-- The order of a declaration that is not known: that of another in the same words but for defaults, or the latest.
local function newOrder(known, settings, now)
  local highest, same = 0, nil
  for _, one in pairs(known) do
    highest = math.max(highest, one.order)
    if one.settings == settings then same = math.max(same or 0, one.order) end
  end
  return same and same + SAME_FILE or math.max(highest + 1, now)
end

-- Keeps of those that no worker has any more their order, and of many the last ones.
local function forgetFormer(known, now)
  local former = {}
  for id, one in pairs(known) do
    if now - one.seenAt > LIVE_MS then
      one.lanes = {}
      former[#former + 1] = id
    end
  end
  table.sort(former, function(a, b) return known[a].seenAt > known[b].seenAt end)
  for place = MOST_FORMER + 1, #former do known[former[place]] = nil end
end

-- The declarations that are known, with this one among them: sha1 of the limits -> { order, seenAt, lanes, settings (sha1 of
-- what they say beyond the defaults) }. `mine`: { id, settings, lanes, order (as the process remembers it, or nil), formerly
-- (id of what the process has declared before, or '') }.
local function noteDeclaration(limitsKey, mine, now)
  local packed, declared = unpack(redis.call('HMGET', limitsKey, 'declarations', 'declared'))
  local known = unpackOr(packed, {})
  local former = declared and redis.sha1hex(declared)
  if former and former ~= mine.id and not known[former] then
    local theirs = cjson.decode(declared).lanes
    known[former] =
      { order = newOrder(known, '', now), seenAt = now + FORMER_LIVE_MS - LIVE_MS, lanes = theirs or mine.lanes }
  end
  -- What the same process has declared before is over, unless another declares it too.
  local before = known[mine.formerly]
  if before and mine.formerly ~= mine.id then before.seenAt = now - LIVE_MS - 1 end
  -- Whoever remembers more has known the file for longer: it was there before a loss.
  local own = known[mine.id]
  local order = math.min(own and own.order or math.huge, mine.order or math.huge)
  if order == math.huge then order = newOrder(known, mine.settings, now) end
  known[mine.id] = { order = order, seenAt = now, lanes = mine.lanes, settings = mine.settings }
  forgetFormer(known, now)
  redis.call('HSET', limitsKey, 'declarations', cmsgpack.pack(known))
  return known
end

-- Those that living workers have, the latest first, as lists of { id, lanes }.
local function liveDeclarations(known, now)
  local live = {}
  for id, declaration in pairs(known) do
    if now - declaration.seenAt <= LIVE_MS and #declaration.lanes > 0 then
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
