--[[
  Binds a caller's idempotency key to a job id, once. One script, since two callers with the same key may ask at once
  and exactly one of them may add the job.

  KEYS[1] the claim
  ARGV[1] id to bind   ARGV[2] hash of the request   ARGV[3] time to live, ms
  ARGV[4] hash of the request without the times that a caller reckons anew for each try
  ARGV[5] version of the record

  Reply: { id, hash, timeless, version } as bound, now or before; without the last two if an earlier version bound it.
]]
local bound = redis.call("HMGET", KEYS[1], "id", "hash", "timeless", "version")
if bound[1] then
  return bound
end
redis.call("HSET", KEYS[1], "id", ARGV[1], "hash", ARGV[2], "timeless", ARGV[4], "version", ARGV[5])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return { ARGV[1], ARGV[2], ARGV[4], ARGV[5] }
