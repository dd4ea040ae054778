--[[
  Stores how a job ended, unless that is stored. A script for its flag alone: an end lets go of more than it takes, so
  it is stored on a full Redis too.

  KEYS[1] the outcome
  ARGV[1] outcome, JSON   ARGV[2] its time to live, ms

  Reply: 1 if this was the first end of the job, else 0.
]]
return redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2], "NX") and 1 or 0
