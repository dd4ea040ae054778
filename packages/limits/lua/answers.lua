-- Part of settle: when the pool last answered, by operation and apart from one's own job: what tells a job's own failure
-- from one of the pool. Twin of `src/model/answers.ts`.
-- A list in the field 'answered' of `startsKey`: { operation, job, at, otherAt, shiftedMs }, the last answered at the end.

-- By the clock of the pool as it is now: by how much that has stepped in all, when they were noted, is noted with them.
-- What a version before has noted is taken as it is.
local function loadAnswers(startsKey, state)
  local answers, shiftedMs = unpackOr(redis.call('HGET', startsKey, 'answered')) or {}, state.shiftedMs or 0
  for _, one in ipairs(answers) do
    local stepMs = shiftedMs - (one[5] or shiftedMs)
    one[3] = one[3] + stepMs
    if one[4] > 0 then one[4] = one[4] + stepMs end
    one[5] = shiftedMs
  end
  return answers
end

-- When the operation last answered another job; 0: not within memory.
local function answeredAt(answered, job)
  return answered[2] == job and answered[4] or answered[3]
end

-- Whether an answer is worth remembering: among hundreds a second not each is. Notes that this one was.
local function mayNote(parameters, state, now)
  local sinceMs = now - (state.notedAt or 0)
  if sinceMs >= 0 and sinceMs < parameters.noteEveryMs then return false end
  state.notedAt = now
  return true
end

-- Remembers an answer; of many operations, those answered last.
local function noteAnswer(startsKey, most, state, operation, job, now)
  local answers, otherAt = loadAnswers(startsKey, state), 0
  for place, one in ipairs(answers) do
    if one[1] == operation then
      otherAt = answeredAt(one, job)
      table.remove(answers, place)
      break
    end
  end
  if #answers >= most then table.remove(answers, 1) end
  answers[#answers + 1] = { operation, job, now, otherAt, state.shiftedMs or 0 }
  redis.call('HSET', startsKey, 'answered', cmsgpack.pack(answers))
end

-- When the pool last answered another job, and when this operation did; 0: not within memory.
local function othersAnsweredAt(answers, operation, job)
  local pool, own = 0, 0
  for _, one in ipairs(answers) do
    local at = answeredAt(one, job)
    pool = math.max(pool, at)
    if one[1] == operation then own = at end
  end
  return pool, own
end

-- When the pool last answered a call of any other operation; 0: not within memory.
local function elsewhereAnsweredAt(answers, operation)
  local last = 0
  for _, one in ipairs(answers) do
    if one[1] ~= operation then last = math.max(last, one[3]) end
  end
  return last
end
