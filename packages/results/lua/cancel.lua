--[[
  Asks for a job to be cancelled. One script, since a job that has ended must not be said to end as cancelled, and since
  who is nudged must find the flag.

  KEYS[1] the flag (JSON: by, at)   KEYS[2] the outcome   KEYS[3..] failed sets of the lanes that the job may be in
  ARGV[1] who asks   ARGV[2] time to live, ms   ARGV[3] channel   ARGV[4] id of the job

  Reply: 'ended' if the job has an outcome, or has failed and will have one: nothing was done; 'first' if nobody had asked before, else 'again'. A repeated
  request nudges again: the first nudge may have been lost.
]]
if redis.call("EXISTS", KEYS[2]) == 1 then
  return "ended"
end
for index = 3, #KEYS do
  if redis.call("ZSCORE", KEYS[index], ARGV[4]) then
    return "ended"
  end
end
local time = redis.call("TIME")
local at = time[1] * 1000 + math.floor(time[2] / 1000)
local first = redis.call("SET", KEYS[1], cjson.encode({ by = ARGV[1], at = at }), "PX", ARGV[2], "NX")
redis.call("PUBLISH", ARGV[3], ARGV[4])
return first and "first" or "again"
