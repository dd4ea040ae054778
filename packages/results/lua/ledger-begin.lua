--[[
  May a call for this job be sent now? One script, since of any number of workers that ask at once exactly one may.

  A call in flight blocks further ones while its owner lives, and until its lease is over at most. An owner is dead
  only if it has missed its beats WHILE OTHERS WERE HEARD: after a gap in which Redis heard nobody (it was down, it
  was stopped) everyone looks dead, and every lease may be over. So nothing is concluded from silence until beats have
  come for a whole grace without a gap; by then whoever is alive has beaten and has stored the answer it held.

  KEYS[1] the job's entry (hash: calls; lost: calls whose owner died; version; while one is in flight also owner, run, lease
  and `begun`: run, when it began, how long it is leased, for those who ask how long it has been out;
  and for each reservation that no owner has settled `held:<reservation>`: run, a space, what to settle it with). Programs
  of the version before write no `held:`, and leave it alone
  KEYS[2] the job's outcome   KEYS[3] owners, KEYS[4] since: see heartbeat.lua
  KEYS[5] doubts (hash: owner by job): its owner is asked whether it has that call. One that Redis has brought back, since
          it lost what was written last, is nobody's, and would block its job for the whole lease
  ARGV[1] owner   ARGV[2] run, new for every call: a question that is asked again, since its answer was
  lost, is not a second call
  ARGV[3] most calls   ARGV[4] lease, ms   ARGV[5] grace, ms   ARGV[6] time to live of the entry, ms
  ARGV[7] id of the job
  ARGV[8] the call's reservation, '' for none   ARGV[9] what to settle it with if nobody hears how the call ended
  ARGV[10] version of the entry

  Reply: { 'go', n, lost, 1 if a call that named no reservation was found to be lost just now, else 0, left } |
         { 'busy', ms } | { 'cap', calls, left } | { 'ended' } | { 'newer', version }: what it counts is not known here
  left: { reservation, what to settle it with, ... } of calls that were lost and are not settled
]]
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local owner, run = ARGV[1], ARGV[2]
local most, lease, grace = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

if redis.call("EXISTS", KEYS[2]) == 1 then
  return { "ended" }
end

local entry = redis.call("HMGET", KEYS[1], "calls", "owner", "run", "lease", "lost", "version")
local calls = tonumber(entry[1] or 0)
local lost = tonumber(entry[5] or 0)
if tonumber(entry[6] or 1) > tonumber(ARGV[10]) then
  return { "newer", tonumber(entry[6]) }
end

-- With the run: a program of before that begins the next call leaves it as it is.
local begun = string.format("%s %d %d", run, now, lease)

local function aliveUntil(who)
  return tonumber(redis.call("ZSCORE", KEYS[3], who) or 0)
end

-- All but what this run holds; and whether the call that is in the entry is among them.
local function leftBehind()
  local left, named = {}, false
  local fields = redis.call("HGETALL", KEYS[1])
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 5) == "held:" then
      local space = string.find(fields[i + 1], " ", 1, true)
      local by = string.sub(fields[i + 1], 1, space - 1)
      named = named or by == entry[3]
      if by ~= run then
        left[#left + 1] = string.sub(fields[i], 6)
        left[#left + 1] = string.sub(fields[i + 1], space + 1)
      end
    end
  end
  return left, named
end

if entry[2] then
  if entry[3] == run then
    redis.call("HSET", KEYS[1], "lease", now + lease, "begun", begun)
    return { "go", calls, lost, 0, (leftBehind()) }
  end
  local until_ = math.min(aliveUntil(entry[2]), tonumber(entry[4]))
  if until_ > now then
    if redis.call("HLEN", KEYS[5]) < 1000 then
      redis.call("HSET", KEYS[5], ARGV[7], entry[2])
      redis.call("PEXPIRE", KEYS[5], 60000)
    end
    return { "busy", until_ - now }
  end
  local since = redis.call("GET", KEYS[4])
  if not since then
    return { "busy", grace }
  end
  if now - since < grace then
    return { "busy", grace - (now - since) }
  end
end

-- Nobody could tell that this owner is alive, so its call would not be protected. Its next beat is a matter of seconds.
if aliveUntil(owner) <= now then
  return { "busy", 1000 }
end
local left, named = leftBehind()
if calls >= most then
  return { "cap", calls, left }
end
if entry[2] then
  lost = lost + 1
end
local unnamed = (entry[2] and not named) and 1 or 0
redis.call("HSET", KEYS[1], "calls", calls + 1, "owner", owner, "run", run, "lease", now + lease, "lost", lost,
  "begun", begun, "version", ARGV[10])
if ARGV[8] ~= "" then
  redis.call("HSET", KEYS[1], "held:" .. ARGV[8], run .. " " .. ARGV[9])
end
redis.call("PEXPIRE", KEYS[1], ARGV[6])
return { "go", calls + 1, lost, unnamed, left }
