-- Part of admit, settle and inspect: what the quota turns out to be. A throttle cuts the ceiling of a rate, and
-- quiet time raises it again along the cubic curve of TCP CUBIC. Twin of `src/model/ceiling.ts`.

-- Raises the ceiling to where the curve is by now: quickly back towards the last peak, slowly past it.
local function grow(limits, at, now)
  local seconds = (now - at.cutAt) / 1000
  local plateau = ((at.peak - at.floor) / limits.growth) ^ (1 / 3)
  local curve = limits.growth * (seconds - plateau) ^ 3 + at.peak
  at.ceiling = math.min(1, math.max(at.floor, curve))
end

-- Calls that were in flight together are throttled together, so a storm counts once.
local function cut(limits, at, perMs, now)
  if now - at.cutAt < limits.cutGapMs then return end
  local again = now - at.cutAt < limits.relapseMs
  at.cuts = again and at.cuts + 1 or 1
  -- When one cut was not enough, how far to fall is a guess; do not forget where it began.
  at.peak = again and math.max(at.ceiling, at.peak * limits.peakKeep) or at.ceiling
  at.floor = math.max(limits.least, at.ceiling * limits.keep)
  at.ceiling = at.floor
  at.cutAt = now
  -- Whatever the level said, the server had nothing left. If that goes on, a window is used up and only time will
  -- help: wait for longer each time instead of asking once a second.
  local pauseMs = again and math.min(limits.pauseMostMs, limits.pauseMs * 2 ^ (at.cuts - 2)) or 0
  at.level = math.min(at.level, -perMs * at.ceiling * pauseMs)
end

-- After an outage: begins again from at most half, and comes back along the same curve.
local function ramp(limits, state, now)
  for _, at in pairs(state.dimensions) do
    if at.ceiling > limits.restart then
      at.peak, at.floor, at.ceiling, at.cutAt = at.ceiling, limits.restart, limits.restart, now
    end
  end
end
